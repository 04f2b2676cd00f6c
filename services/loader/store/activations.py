"""Which generations are served: pointers that are moved all at once, each time under a new number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from services.loader.domain import Served
from services.loader.store.sql import SQL
from shared import outbox
from shared.events import CacheRefreshed, derived_id
from shared.events.topics import CACHES

if TYPE_CHECKING:
    from shared.postgres import Connection, Database


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What Redis is to say of a tenant, and how many lists each generation has."""

    served: Served
    rows: dict[int, int]


class Activations:
    """Moves pointers, and tells how they stand."""

    def __init__(self, database: Database, now: Callable[[], datetime] = _now) -> None:
        self._database = database
        self._now = now

    async def by_load(self, tenant: str, generation: int) -> Served | None:
        """Activate a generation that was just loaded.

        None when a newer one was loaded before it, or when this was done already: then a person may
        have gone back since, and that must stand.
        """
        async with self._database.transaction() as connection:
            await self.lock(connection, tenant)
            if not await connection.fetchval(*SQL.may_activate_itself(generation=generation)):
                return None
            return await self._activate(connection, tenant, generation, "load")

    async def lock(self, connection: Connection, tenant: str) -> None:
        """Let nobody else move the tenant's pointers before the end of the transaction."""
        await connection.execute(*SQL.lock_tenant(tenant=tenant))

    async def by_request(self, connection: Connection, tenant: str, generation: int) -> Served:
        """Activate a loaded generation because somebody asks for it.

        The caller's transaction has the tenant's lock. A generation that is active stays as it is.
        """
        if await connection.fetchval(*SQL.is_active(tenant=tenant, generation=generation)):
            rows = await connection.fetch(*SQL.active(tenant=tenant))
            return Served(
                tenant,
                max(row["activation"] for row in rows),
                {row["recipe"]: row["generation"] for row in rows},
            )
        return await self._activate(connection, tenant, generation, "request")

    async def wanted(self) -> list[Wanted]:
        """What every tenant's clients should get now."""
        return [
            Wanted(
                Served(row["tenant"], row["activation"], row["generations"]),
                {int(generation): rows for generation, rows in row["rows"].items()},
            )
            for row in await self._database.fetch(*SQL.actives())
        ]

    async def _activate(
        self,
        connection: Connection,
        tenant: str,
        generation: int,
        cause: Literal["load", "request"],
    ) -> Served:
        now = self._now()
        number = await connection.fetchval(*SQL.next_activation(tenant=tenant))
        await connection.execute(*SQL.point(tenant=tenant, generation=generation, activation=number, now=now))
        rows = await connection.fetch(*SQL.active(tenant=tenant))
        generations = {row["recipe"]: row["generation"] for row in rows}
        await connection.execute(
            *SQL.add_activation(
                tenant=tenant,
                activation=number,
                generation=generation,
                cause=cause,
                generations=generations,
                now=now,
            )
        )
        refreshed = CacheRefreshed(
            event_id=derived_id(tenant, "activation", number),
            tenant=tenant,
            occurred_at=now,
            activation=number,
            generations=generations,
        )
        await outbox.append(connection, CACHES, [refreshed])
        return Served(tenant, number, generations)
