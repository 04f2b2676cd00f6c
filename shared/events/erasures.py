"""The erasure of a user: requested from every service, and confirmed by each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Self

from pydantic import Field

from shared.events.envelope import Event, Name, derived_id


class UserErasureRequested(Event):
    """All data about a user up to `occurred_at` must be erased. A tombstone ends the request.

    `session_ids` are the user's sessions. `erasure_id` names the request in receipts.
    """

    erasure_id: Name
    user_id: Name
    session_ids: tuple[Name, ...] = ()

    @property
    def key(self) -> str:
        """Return the Kafka key, `tenant:user`."""
        return f"{self.tenant}:{self.user_id}"


class UserErased(Event):
    """A service has erased a user; `rows` counts the erased rows by table."""

    erasure_id: Name
    user_id: Name
    service: Name
    rows: dict[Name, int] = Field(default_factory=dict)

    @classmethod
    def of(cls, request: UserErasureRequested, service: str, rows: Mapping[str, int]) -> Self:
        """Return the receipt of a service for a request; a repeated receipt has the same id."""
        return cls(
            event_id=derived_id(request.tenant, request.erasure_id, request.user_id, service),
            tenant=request.tenant,
            occurred_at=datetime.now(UTC),
            erasure_id=request.erasure_id,
            user_id=request.user_id,
            service=service,
            rows=dict(rows),
        )

    @property
    def key(self) -> str:
        """Return the Kafka key, `tenant:user`."""
        return f"{self.tenant}:{self.user_id}"
