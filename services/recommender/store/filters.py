"""Filters, parsed as they are announced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from services.recommender.store.lists import SQL
from services.recommender.store.view import Name, View
from shared.filters import Filter, FilterError

if TYPE_CHECKING:
    from services.recommender.store.lists import Guarded
    from shared.events import FilterChanged

log = structlog.get_logger()


class Filters:
    """Every filter by tenant and name."""

    def __init__(self, database: Guarded) -> None:
        """None is known yet."""
        self._of: dict[Name, Filter] = {}
        self._view = View(
            database,
            SQL.filters,
            self._of,
            lambda row: self._take(row["tenant"], row["name"], row["expression"]),
        )

    def changed(self, key: str, announced: FilterChanged | None) -> None:
        """Take an event of filters-v1."""
        tenant, _, name = key.partition(":")
        self._of.pop((tenant, name), None)
        if announced is None:
            self._view.went((tenant, name))
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
            await self._view.read()
        return self._of.get((tenant, name))

    def _take(self, tenant: str, name: str, expression: str) -> None:
        try:
            self._of[tenant, name] = Filter.parse(expression)
        except FilterError as error:
            log.warning("filters.not_read", tenant=tenant, filter=name, error=str(error))
