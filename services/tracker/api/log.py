"""Routes that read the log: the events of a user or session, conflicts, and counts."""

# No `from __future__ import annotations`: FastAPI cannot resolve annotations defined inside a function.
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from services.tracker.store import InteractionLog
from shared.auth import Authenticator, Principal
from shared.errors import ApiError
from shared.events.envelope import Text

Subject = Annotated[Annotated[Text, StringConstraints(max_length=256)] | None, Query()]


class StoredEvent(BaseModel):
    """An event of the log."""

    event_id: str
    user_id: str | None
    session_id: str | None
    event_type: str
    sender_type: str | None
    item_id: str | None
    value: float | None
    quantity: float | None
    price: float | None
    order_id: str | None
    recommendation_id: str | None
    impression: list[str] | None
    properties: dict[str, Any] | None
    city: str | None
    province: str | None
    country: str | None
    source: str
    occurred_at: datetime
    received_at: datetime
    historical: bool
    withheld: str | None = Field(
        None, description="why it is kept out of personalization: consent, bot or internal"
    )


class StoredEvents(BaseModel):
    """Events, newest first."""

    events: list[StoredEvent]


class LatestEvent(StoredEvent):
    """An event with the time at which it was stored."""

    stored_at: datetime


class LatestEvents(BaseModel):
    """The events that were stored last, newest first."""

    events: list[LatestEvent]


class Conflict(BaseModel):
    """An event whose content differs from that of the event stored under the same id."""

    event_id: str
    kept: Literal["first", "order"] = Field(
        description="which event is stored instead: the first with this id, or the line of the shop's order"
    )
    noticed_at: datetime
    event: dict[str, Any] = Field(description="the event that is not counted, as it was sent")


class Conflicts(BaseModel):
    """Events that are not counted because they conflict with a stored one, newest first."""

    conflicts: list[Conflict]


class Stats(BaseModel):
    """Numbers of events in the log."""

    total: int
    by_type: dict[str, int]


def log_routes(store: InteractionLog, authenticator: Authenticator) -> APIRouter:
    """Return the routes that read the log."""
    router = APIRouter(tags=["Log"])
    reader = Annotated[Principal, Depends(authenticator.require("read"))]

    @router.get("/v1/events", operation_id="events", summary="The newest events of a user or a session")
    async def events(
        caller: reader,
        user_id: Subject = None,
        session_id: Subject = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> StoredEvents:
        """Return the events of one user (or, before login, of one session), newest first."""
        _require_one(user_id, session_id)
        tenant = caller.own_tenant
        rows = await store.newest_events(tenant, user_id=user_id, session_id=session_id, limit=limit)
        return StoredEvents(events=[StoredEvent(**row) for row in rows])

    @router.get("/v1/events/latest", operation_id="latest_events", summary="The events that were stored last")
    async def latest_events(
        caller: reader,
        since: Annotated[AwareDatetime | None, Query(description="by default a minute ago")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> LatestEvents:
        """Return the events of all users that were stored after an instant of the last hour, newest first."""
        now = datetime.now(UTC)
        earliest = max(since or now - timedelta(minutes=1), now - timedelta(hours=1))
        rows = await store.stored_since(caller.own_tenant, earliest, limit)
        return LatestEvents(events=[LatestEvent(**row) for row in rows])

    @router.get("/v1/conflicts", operation_id="conflicts", summary="Events that conflict with a stored one")
    async def conflicts(caller: reader, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> Conflicts:
        """Return the newest events that arrived under the id of another event but differ from it."""
        rows = await store.conflicts(caller.own_tenant, limit)
        return Conflicts(conflicts=[Conflict(**row) for row in rows])

    @router.get("/v1/stats", operation_id="stats", summary="Number of events of each type")
    async def stats(caller: reader) -> Stats:
        """Return the number of events in total and by type; counts and events change in one transaction."""
        counts = await store.counts(caller.own_tenant)
        return Stats(total=sum(counts.values()), by_type=counts)

    return router


def _require_one(user_id: str | None, session_id: str | None) -> None:
    """Raise ApiError 400 unless exactly one of the ids is set."""
    if (user_id is None) == (session_id is None):
        raise ApiError(400, "InvalidRequest", "Send either user_id or session_id.")
