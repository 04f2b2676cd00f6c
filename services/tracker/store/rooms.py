"""How many items and users a tenant may still add, by sync's view."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog

from services.tracker.domain.columns import Kind
from services.tracker.store.tenants import SQL
from shared.aws import invalid_input
from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from shared.postgres import Database

_KINDS: Mapping[Kind, str] = {"item": "items", "user": "users"}

log = structlog.get_logger()


class Rooms:
    """Refuses new items and users beyond a tenant's quota before they are accepted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self, tenant: str, kind: Kind, ids: Collection[str]) -> None:
        """Raise InvalidInputException when so many of the ids are new that the tenant has no room for them.

        While Postgres is away nothing is refused: sync merges what was accepted, some way beyond the quota.
        """
        try:
            room = await self._database.fetchrow(*SQL.catalogue_room(tenant=tenant, kind=_KINDS[kind]))
            distinct = set(ids)
            if room is None or room["most"] - room["rows"] >= len(distinct):
                return
            known = {"item": SQL.known_items, "user": SQL.known_users}[kind]
            new = len(distinct) - int(
                await self._database.fetchval(*known(tenant=tenant, ids=list(distinct)))
            )
        except (*UNAVAILABLE, asyncpg.PostgresError) as error:
            log.warning("tracker.room_unknown", tenant=tenant, error=repr(error))
            return
        if new > max(0, room["most"] - room["rows"]):
            raise invalid_input(_sentence(kind, new, room))


def _sentence(kind: Kind, new: int, room: Mapping[str, Any]) -> str:
    kinds = _KINDS[kind]
    return (
        f"{new} of these {kinds} are new, and the dataset group has {room['rows']:,} {kinds} of "
        f"{room['most']:,} that it may have: delete some, or have SYNC_MAX_{kinds.upper()} raised."
    )
