"""HTTP for exports of a person's data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from services.engine.store import user_data
from shared.auth import Authenticator, Principal
from shared.events.values import Name

if TYPE_CHECKING:
    from services.engine.store.dead_letters import DeadLetters
    from shared.postgres import Database


class UserExport(BaseModel):
    """The data of a person."""

    user_id: str
    exported_at: datetime
    sessions: list[str] = Field(description="the newest sessions of the user, up to 1,000")
    stores: dict[str, list[dict[str, Any]]] = Field(
        description="rows by service and table, such as tracker.events; and dead letters that name the user"
    )
    complete: bool = Field(description="false if there is more than one export returns")


def router(database: Database, letters: DeadLetters, authenticator: Authenticator) -> APIRouter:
    """Return the route."""
    api = APIRouter(tags=["Privacy"])
    admin = Depends(authenticator.require("admin"))

    @api.get("/v1/user-exports/{user_id}", operation_id="export_user", summary="All data of a user")
    async def export(user_id: Annotated[Name, Path()], principal: Principal = admin) -> UserExport:
        """Return what the services have of a user, by store, as the receipt of an erasure lists stores.

        Redis and the event lake have copies of these rows. Datasets that were imported into the engine are
        read with a dataset export job.
        """
        data = await user_data.collect(database, letters, principal.own_tenant, user_id)
        return UserExport(
            user_id=user_id,
            exported_at=datetime.now(UTC),
            sessions=data.sessions,
            stores=data.stores,
            complete=data.is_complete,
        )

    return api
