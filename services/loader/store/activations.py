"""Activations: the generation of each recipe that a tenant serves, changed at once under a new number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from services.loader.domain import ActiveGenerations
from services.loader.store.sql import SQL
from shared import outbox
from shared.events import CacheRefreshed, derived_id
from shared.events.topics import CACHES

if TYPE_CHECKING:
    from shared.postgres import Connection, Database


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class RedisState:
    """The generations that Redis must hold for a tenant, and the number of lists of each."""

    active: ActiveGenerations
    rows: dict[int, int]


class Activations:
    """Reads and changes the active generations."""

    def __init__(self, database: Database, now: Callable[[], datetime] = _now) -> None:
        self._database = database
        self._now = now

    async def activate_after_load(self, tenant: str, generation: int) -> ActiveGenerations | None:
        """Activate a generation that was just loaded.

        Return None when a newer generation was loaded before, or when this one was activated by its load
        already: a user may have rolled back since, which must not be undone.
        """
        async with self._database.transaction() as connection:
            await self.lock(connection, tenant)
            if not await connection.fetchval(*SQL.may_activate_after_load(generation=generation)):
                return None
            return await self._activate(connection, tenant, generation, "load")

    async def lock(self, connection: Connection, tenant: str) -> None:
        """Lock the activations of a tenant until the end of the transaction."""
        await connection.execute(*SQL.lock_tenant(tenant=tenant))

    async def activate(self, connection: Connection, tenant: str, generation: int) -> ActiveGenerations:
        """Activate a loaded generation on request, in a transaction that holds the lock of the tenant.

        A generation that is active already is left unchanged.
        """
        if await connection.fetchval(*SQL.is_active(tenant=tenant, generation=generation)):
            rows = await connection.fetch(*SQL.active(tenant=tenant))
            return ActiveGenerations(
                tenant,
                max(row["activation"] for row in rows),
                {row["recipe"]: row["generation"] for row in rows},
            )
        return await self._activate(connection, tenant, generation, "request")

    async def redis_states(self) -> list[RedisState]:
        """Return the state that Redis must have, of every tenant."""
        return [
            RedisState(
                ActiveGenerations(row["tenant"], row["activation"], row["generations"]),
                {int(generation): rows for generation, rows in row["rows"].items()},
            )
            for row in await self._database.fetch(*SQL.active_generations())
        ]

    async def _activate(
        self,
        connection: Connection,
        tenant: str,
        generation: int,
        cause: Literal["load", "request"],
    ) -> ActiveGenerations:
        now = self._now()
        number = await connection.fetchval(*SQL.next_activation(tenant=tenant))
        await connection.execute(
            *SQL.set_active(tenant=tenant, generation=generation, activation=number, now=now)
        )
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
        return ActiveGenerations(tenant, number, generations)
