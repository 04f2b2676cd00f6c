"""HTTP for exports of a person's data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, Field

from services.engine.store import user_data
from services.engine.store.copies import LAKE_TABLES
from shared.auth import Authenticator, Principal
from shared.events.values import Name

if TYPE_CHECKING:
    from services.engine.store.copies import Copies, CopyCounts, Counts
    from services.engine.store.dead_letters import DeadLetters
    from shared.postgres import Database


class OtherStore(BaseModel):
    """A store with data of persons that an export does not read."""

    store: str = Field(description="the service and the place, as receipts of erasures and docs name them")
    content: str = Field(description="what it has of a person")
    copy_of: list[str] = Field(description="the stores of the export that have the same")
    counts: dict[str, int] | None = Field(
        description="keys in Redis, rows of the lake or runs with files, by name; null for a store that is "
        "not counted, or whose service did not answer"
    )


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


class _Named(NamedTuple):
    """A store that is named. `counted` names the group of `CopyCounts` and the counts that are its."""

    store: str
    content: str
    copy_of: list[str]
    counted: tuple[str, tuple[str, ...]] | None = None


OTHER_STORES: Final = (
    _Named(
        "recommender: Redis",
        "the last events, purchases and logins",
        ["tracker.events"],
        ("redis", ("histories", "purchases", "links")),
    ),
    _Named(
        "recommender: Redis",
        "counts of items that were shown without a click",
        [],
        ("redis", ("impressions",)),
    ),
    _Named("recommender: Redis", "place and attributes", ["sync.users"], ("redis", ("attributes",))),
    _Named("recommender: Redis", "overrides", ["recommender.overrides"], ("redis", ("overrides",))),
    _Named("loader: Redis", "lists of the active generations", ["loader.lists"]),
    _Named(
        "analytics: event lake in S3",
        "events, also those that the log no longer keeps; POST /v1/sql reads them",
        ["tracker.events"],
        ("lake", LAKE_TABLES),
    ),
    _Named(
        "trainer: files of runs in S3",
        "the snapshot that a run read and the lists that it made, until the run is removed",
        ["tracker.events", "sync.users", "loader.lists"],
        ("runs", ("runs_with_files",)),
    ),
    _Named("engine: datasets in S3", "imported rows; a dataset export job reads them", []),
    _Named("engine: models in S3", "numbers that were learnt from the events above", ["tracker.events"]),
    _Named("Kafka", "records of the last 14 days", ["tracker.events", "sync.users", "sync.orders"]),
)
"""Each service that confirms an erasure is here or in the stores of an export (docs/security.md)."""


_CREDENTIALS: Final = ("x-api-key", "authorization", "x-endcap-tenant")
"""Headers that are passed on to the services that count."""


def router(
    database: Database, letters: DeadLetters, copies: Copies, authenticator: Authenticator
) -> APIRouter:
    """Return the route."""
    api = APIRouter(tags=["Privacy"])
    admin = Depends(authenticator.require("admin"))

    @api.get("/v1/user-exports/{user_id}", operation_id="export_user", summary="All data of a user")
    async def export(
        user_id: Annotated[Name, Path()], request: Request, principal: Principal = admin
    ) -> UserExport:
        """Return what the services have of a user, by store, as the receipt of an erasure lists stores.

        `other_stores` names the stores that have copies of these rows, or rows of their own that another
        route reads, with the numbers that their owners count.
        """
        tenant = principal.own_tenant
        data = await user_data.collect(database, letters, tenant, user_id)
        credentials = {name: request.headers[name] for name in _CREDENTIALS if name in request.headers}
        counted = await copies.count(tenant, user_id, credentials)
        return UserExport(
            user_id=user_id,
            exported_at=datetime.now(UTC),
            sessions=data.sessions,
            stores=data.stores,
            other_stores=[_other_store(each, counted) for each in OTHER_STORES],
            complete=data.is_complete,
        )

    return api


def _other_store(named: _Named, counted: CopyCounts) -> OtherStore:
    counts: Counts | None = None
    if named.counted is not None:
        group, names = named.counted
        of_group: Counts | None = getattr(counted, group)
        counts = None if of_group is None else {name: of_group.get(name, 0) for name in names}
    return OtherStore(store=named.store, content=named.content, copy_of=named.copy_of, counts=counts)
