"""HTTP for exports of a person's data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from services.engine.store import user_data
from shared.auth import Authenticator, Principal
from shared.events.values import Name

if TYPE_CHECKING:
    from services.engine.store.dead_letters import DeadLetters
    from shared.postgres import Database


class OtherStore(BaseModel):
    """A store with data of persons that an export does not read."""

    store: str = Field(description="the service and the place, as receipts of erasures and docs name them")
    content: str = Field(description="what it has of a person")
    copy_of: list[str] = Field(description="the stores of the export that have the same")


class UserExport(BaseModel):
    """The data of a person."""

    user_id: str
    exported_at: datetime
    sessions: list[str] = Field(description="the newest sessions of the user, up to 1,000")
    stores: dict[str, list[dict[str, Any]]] = Field(
        description="rows by service and table, such as tracker.events; and dead letters that name the user"
    )
    other_stores: list[OtherStore] = Field(description="stores that are not read, and what they copy")
    complete: bool = Field(description="false if there is more than one export returns")


OTHER_STORES: Final = [
    OtherStore(store=store, content=content, copy_of=copy_of)
    for store, content, copy_of in (
        (
            "recommender: Redis",
            "the last events, purchases and logins",
            ["tracker.events"],
        ),
        ("recommender: Redis", "counts of items that were shown without a click", []),
        ("recommender: Redis", "place and attributes", ["sync.users"]),
        ("recommender: Redis", "overrides", ["recommender.overrides"]),
        ("loader: Redis", "lists of the active generations", ["loader.lists"]),
        (
            "analytics: event lake in S3",
            "events, also those that the log no longer keeps; POST /v1/sql reads them",
            ["tracker.events"],
        ),
        (
            "trainer: files of runs in S3",
            "the snapshot that a run read and the lists that it made, until the run is removed",
            ["tracker.events", "sync.users", "loader.lists"],
        ),
        ("engine: datasets in S3", "imported rows; a dataset export job reads them", []),
        ("engine: models in S3", "numbers that were learnt from the events above", ["tracker.events"]),
        ("Kafka", "records of the last 14 days", ["tracker.events", "sync.users", "sync.orders"]),
    )
]
"""Each service that confirms an erasure is here or in the stores of an export (docs/security.md)."""


def router(database: Database, letters: DeadLetters, authenticator: Authenticator) -> APIRouter:
    """Return the route."""
    api = APIRouter(tags=["Privacy"])
    admin = Depends(authenticator.require("admin"))

    @api.get("/v1/user-exports/{user_id}", operation_id="export_user", summary="All data of a user")
    async def export(user_id: Annotated[Name, Path()], principal: Principal = admin) -> UserExport:
        """Return what the services have of a user, by store, as the receipt of an erasure lists stores.

        `other_stores` names the stores that have copies of these rows, or rows of their own that another
        route reads.
        """
        data = await user_data.collect(database, letters, principal.own_tenant, user_id)
        return UserExport(
            user_id=user_id,
            exported_at=datetime.now(UTC),
            sessions=data.sessions,
            stores=data.stores,
            other_stores=OTHER_STORES,
            complete=data.is_complete,
        )

    return api
