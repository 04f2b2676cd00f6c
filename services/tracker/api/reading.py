"""Looking into the log, for people: the events of a user, and how many there are of each type."""

# No postponed annotations here: FastAPI could not resolve those that are made inside a function.
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field, StringConstraints

from services.tracker.store import Store
from shared.auth import Authenticator, Principal
from shared.errors import ApiError
from shared.events.envelope import Text

Subject = Annotated[Annotated[Text, StringConstraints(max_length=256)] | None, Query()]


class StoredEvent(BaseModel):
    """An event as the log has it."""

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


class StoredEvents(BaseModel):
    """Events, newest first."""

    events: list[StoredEvent]


class Conflict(BaseModel):
    """An event that says something else than what the log has under its id."""

    event_id: str
    kept: Literal["first", "order"] = Field(
        description="what holds instead: the first event of the id, or the line of the shop's order"
    )
    noticed_at: datetime
    event: dict[str, Any] = Field(description="the event that does not count, as it was sent")


class Conflicts(BaseModel):
    """Events that do not count, newest first."""

    conflicts: list[Conflict]


class Stats(BaseModel):
    """How many events the log has."""

    total: int
    by_type: dict[str, int]


def reading_routes(store: Store, authenticator: Authenticator) -> APIRouter:
    """The three routes."""
    router = APIRouter(tags=["Log"])
    reader = Annotated[Principal, Depends(authenticator.require("read"))]

    @router.get("/v1/events", operation_id="events", summary="The newest events of a user or a session")
    async def events(
        caller: reader,
        user_id: Subject = None,
        session_id: Subject = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> StoredEvents:
        """What the log has of one user (or, before login, of one session), newest first."""
        if (user_id is None) == (session_id is None):
            raise ApiError(400, "InvalidRequest", "Give either user_id or session_id.")
        rows = await store.events_of(caller.own_tenant, user_id=user_id, session_id=session_id, limit=limit)
        return StoredEvents(events=[StoredEvent(**row) for row in rows])

    @router.get("/v1/conflicts", operation_id="conflicts", summary="Events that contradict what is kept")
    async def conflicts(caller: reader, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> Conflicts:
        """The newest events that came under the id of another and say something else; see `kept`."""
        rows = await store.conflicts(caller.own_tenant, limit)
        return Conflicts(conflicts=[Conflict(**row) for row in rows])

    @router.get("/v1/stats", operation_id="stats", summary="How many events the log has of each type")
    async def stats(caller: reader) -> Stats:
        """Counts that change in the transaction that writes the events."""
        counts = await store.counts(caller.own_tenant)
        return Stats(total=sum(counts.values()), by_type=counts)

    return router
