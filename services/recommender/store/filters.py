"""Filters, parsed as they are announced."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from services.recommender.store.lists import SQL
from shared.filters import Filter, FilterError

if TYPE_CHECKING:
    from services.recommender.store.lists import Guarded
    from shared.events import FilterChanged

VIEW_SECONDS = 0.5
"""How often an unknown name may have the view read."""

log = structlog.get_logger()


class Filters:
    """Every filter by tenant and name."""

    def __init__(self, database: Guarded) -> None:
        """None is known yet."""
        self._database = database
        self._of: dict[tuple[str, str], Filter] = {}
        # What went while the view was read: its rows may still tell of it.
        self._gone: set[tuple[str, str]] = set()
        self._view = asyncio.Lock()
        self._view_read_at = float("-inf")

    def changed(self, key: str, announced: FilterChanged | None) -> None:
        """Take an event of filters-v1."""
        tenant, _, name = key.partition(":")
        self._of.pop((tenant, name), None)
        if announced is None:
            self._gone.add((tenant, name))
        else:
            self._take(tenant, name, announced.expression)

    def whole(self, keys: set[str]) -> None:
        """Drop what the view has told and filters-v1 has no more: its tombstone may be compacted away."""
        for tenant, name in list(self._of):
            if (key := f"{tenant}:{name}") not in keys:
                self.changed(key, None)

    async def find(self, tenant: str, name: str) -> Filter | None:
        """The filter of that name.

        One that is not known is looked for in the engine's view, twice a second at the most: a program asks
        as soon as it has made a filter.
        """
        if (tenant, name) not in self._of:
            await self._read_view()
        return self._of.get((tenant, name))

    async def _read_view(self) -> None:
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        async with self._view:
            if self._view_read_at > asked_at:
                return
            await asyncio.sleep(max(0.0, self._view_read_at + VIEW_SECONDS - loop.time()))
            self._view_read_at = loop.time()
            self._gone.clear()
            for row in await self._database.fetch(*SQL.filters()) or ():
                key = row["tenant"], row["name"]
                if key not in self._of and key not in self._gone:
                    self._take(row["tenant"], row["name"], row["expression"])

    def _take(self, tenant: str, name: str, expression: str) -> None:
        try:
            self._of[tenant, name] = Filter.parse(expression)
        except FilterError as error:
            log.warning("filters.not_read", tenant=tenant, filter=name, error=str(error))
