"""Figures of served lists in Postgres: coverage by day, and the quality of each generation's lists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from services.loader.domain import (
    ITEM_RECIPES,
    RECIPES_WITHOUT_USERS,
    SHOWN_TYPES,
    ListQuality,
    ListStatistics,
)
from services.loader.store.sql import SQL

if TYPE_CHECKING:
    from shared.postgres import Database

LISTS_PER_FETCH = 500
"""Lists that are compared in one turn of the event loop, about 10 ms; arbitrary."""

READ_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class UnmeasuredLists:
    """The lists of a recipe without figures; `previous` is the generation before that has the recipe too."""

    generation: int
    tenant: str
    recipe: str
    previous: int | None


class Quality:
    """Measures lists and reads what was measured. Every method may be interrupted and called again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        """Yield whether this process may measure: one at a time may, until the end of the context."""
        async with self._database.pool.acquire() as connection:
            may_measure = bool(await connection.fetchval(*SQL.lock_quality()))
            try:
                yield may_measure
            finally:
                if may_measure:
                    await connection.fetchval(*SQL.unlock_quality())

    async def unmeasured(self) -> list[UnmeasuredLists]:
        """Return the loaded lists without figures, oldest generation first."""
        return [UnmeasuredLists(**dict(row)) for row in await self._database.fetch(*SQL.unmeasured_lists())]

    async def catalogue(self, tenant: str) -> frozenset[str]:
        """Return the ids of the items that the tenant sells; none for a tenant without a catalogue."""
        rows = await self._database.pool.fetch(*SQL.available_items(tenant=tenant), timeout=READ_SECONDS)
        return frozenset(row["item_id"] for row in rows)

    async def popularity(self, tenant: str) -> dict[str, int]:
        """Return the number of interactions by item."""
        statement = SQL.item_popularity(tenant=tenant, shown=list(SHOWN_TYPES))
        rows = await self._database.pool.fetch(*statement, timeout=READ_SECONDS)
        return {row["item_id"]: row["interactions"] for row in rows}

    async def statistics(self, lists: UnmeasuredLists) -> ListStatistics:
        """Return sums over lists, each with the list of the same id in the generation before."""
        statistics = ListStatistics()
        statement = SQL.compared_lists(
            generation=lists.generation, recipe=lists.recipe, previous=lists.previous
        )
        async with self._database.transaction(readonly=True) as connection:
            cursor = await connection.cursor(*statement, timeout=READ_SECONDS)
            while rows := await cursor.fetch(LISTS_PER_FETCH, timeout=READ_SECONDS):
                for row in rows:
                    statistics.add(row["items"], row["items_before"])
        return statistics

    async def store(self, lists: UnmeasuredLists, quality: ListQuality) -> None:
        """Store the figures of lists."""
        await self._database.execute(
            *SQL.store_quality(
                generation=lists.generation, recipe=lists.recipe, previous=lists.previous, **asdict(quality)
            )
        )

    async def measure_coverage(self, older_than_seconds: float) -> None:
        """Count the users and items that have a list, of tenants whose count is old or from other lists."""
        for row in await self._database.fetch(*SQL.tenants_to_cover(seconds=older_than_seconds)):
            statement = SQL.measure_coverage(
                tenant=row["tenant"],
                item_recipes=list(ITEM_RECIPES),
                recipes_without_users=list(RECIPES_WITHOUT_USERS),
                shown=list(SHOWN_TYPES),
            )
            await self._database.pool.execute(*statement, timeout=READ_SECONDS)
        await self._database.execute(*SQL.delete_old_coverage())

    async def served(self) -> list[Mapping[str, Any]]:
        """Return the lists that are served, of all tenants, with the start of their run and their figures."""
        return [dict(row) for row in await self._database.fetch(*SQL.served_quality())]

    async def newest_coverage(self) -> list[Mapping[str, Any]]:
        """Return the newest counts of all tenants that have lists, by kind."""
        return [dict(row) for row in await self._database.fetch(*SQL.newest_coverage())]

    async def coverage(self, tenant: str, days: int) -> list[Mapping[str, Any]]:
        """Return the counts of the last days of a tenant, oldest first."""
        return [dict(row) for row in await self._database.fetch(*SQL.coverage(tenant=tenant, days=days))]

    async def generations(self, tenant: str, limit: int) -> list[Mapping[str, Any]]:
        """Return the figures of the newest generations of a tenant, newest first."""
        rows = await self._database.fetch(*SQL.quality_of_generations(tenant=tenant, limit=limit))
        return [dict(row) for row in rows]
