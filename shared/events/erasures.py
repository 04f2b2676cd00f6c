"""Erasing a user: asked of every service, and confirmed by each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Self

from pydantic import Field

from shared.events.envelope import Event, Name, derived_id


class UserErasureRequested(Event):
    """Everything about a user up to `occurred_at` is to be erased. A tombstone says that this is over.

    `session_ids` are the sessions that were the user's. `erasure_id` names the request in receipts.
    """

    erasure_id: Name
    user_id: Name
    session_ids: tuple[Name, ...] = ()

    @property
    def key(self) -> str:
        """`tenant:user`."""
        return f"{self.tenant}:{self.user_id}"


class UserErased(Event):
    """One service has erased a user; `rows` counts what went by the name of where it was."""

    erasure_id: Name
    user_id: Name
    service: Name
    rows: dict[Name, int] = Field(default_factory=dict)

    @classmethod
    def of(cls, request: UserErasureRequested, service: str, rows: Mapping[str, int]) -> Self:
        """Return the receipt of a service for a request; a repetition has the same id."""
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
        """`tenant:user`."""
        return f"{self.tenant}:{self.user_id}"
