"""Activations: the generation of each recipe that a tenant serves, changed at once under a new number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from services.loader.domain import ActiveGenerations
from services.loader.store.sql import SQL
from shared import outbox
from shared.events import CacheRefreshed, derived_id
from shared.events.caches import Overlay
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
        already: a user may have rolled back since, which must not be undone. An overlay is activated only
        while its base is active; a base takes its newest overlay with it.
        """
        async with self._database.transaction() as connection:
            await self.lock(connection, tenant)
            if not await connection.fetchval(*SQL.may_activate_after_load(generation=generation)):
                return None
            return await self._activate(connection, tenant, generation, "load")

    async def lock(self, connection: Connection, tenant: str) -> None:
        """Lock the activations of a tenant until the end of the transaction."""
        await connection.execute(*SQL.lock_tenant(tenant=tenant))

    async def activate(
        self, connection: Connection, tenant: str, generation: int
    ) -> ActiveGenerations | None:
        """Activate a loaded generation on request, in a transaction that holds the lock of the tenant.

        A base is then served without an overlay. A generation that is active already is left unchanged.
        Return None for an overlay whose base is not active.
        """
        if await connection.fetchval(*SQL.is_active(tenant=tenant, generation=generation)):
            rows = await connection.fetch(*SQL.active(tenant=tenant))
            return _active(tenant, max(row["activation"] for row in rows), rows)
        return await self._activate(connection, tenant, generation, "request")

    async def redis_states(self) -> list[RedisState]:
        """Return the state that Redis must have, of every tenant."""
        return [
            RedisState(
                ActiveGenerations(
                    row["tenant"],
                    row["activation"],
                    row["generations"],
                    {recipe: Overlay(**overlay) for recipe, overlay in row["overlays"].items()},
                ),
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
    ) -> ActiveGenerations | None:
        now = self._now()
        number = await connection.fetchval(*SQL.next_activation(tenant=tenant))
        changed = {"tenant": tenant, "activation": number, "now": now}
        if await connection.fetchval(*SQL.base(generation=generation)) is None:
            await connection.execute(*SQL.set_active(generation=generation, **changed))
            newest = await connection.fetchval(*SQL.newest_overlay(tenant=tenant, base=generation))
            if newest is not None and cause == "load":
                await connection.execute(*SQL.set_overlay(generation=newest, **changed))
        elif await connection.execute(*SQL.set_overlay(generation=generation, **changed)) == "UPDATE 0":
            return None
        active = _active(tenant, number, await connection.fetch(*SQL.active(tenant=tenant)))
        await connection.execute(
            *SQL.add_activation(
                generation=generation,
                cause=cause,
                generations=active.generations,
                overlays={recipe: overlay.generation for recipe, overlay in active.overlays.items()},
                **changed,
            )
        )
        refreshed = CacheRefreshed(
            event_id=derived_id(tenant, "activation", number),
            tenant=tenant,
            occurred_at=now,
            activation=number,
            generations=active.generations,
            overlays=active.overlays,
        )
        await outbox.append(connection, CACHES, [refreshed])
        return active


def _active(tenant: str, activation: int, rows: Sequence[Mapping[str, Any]]) -> ActiveGenerations:
    return ActiveGenerations(
        tenant,
        activation,
        {row["recipe"]: row["generation"] for row in rows},
        {
            row["recipe"]: Overlay(generation=row["overlay"], as_of=row["overlay_as_of"])
            for row in rows
            if row["overlay"] is not None
        },
    )
