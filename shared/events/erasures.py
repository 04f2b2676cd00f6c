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

    `occurred_at` is a time of Postgres's clock. It is compared with times that our own clocks bound: of an
    interaction with `InteractionRecorded.happened_by`, because `occurred_at` is the client's time and may be
    minutes ahead of ours. So whatever was received before the request is erased, and refused when it arrives
    late; so is what happened before it and is received later. What happens afterwards stays. The times of
    orders, answers and exposures need no such bound: sync dates no order later than it was received, and the
    recommender dates the others itself.
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
