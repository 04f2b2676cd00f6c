"""Filters, parsed when they are announced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from services.recommender.store import SQL
from services.recommender.store.view_fallback import Name, ViewFallback
from shared.filters import Filter, FilterError

if TYPE_CHECKING:
    from services.recommender.store.guarded_database import GuardedDatabase
    from shared.events import FilterChanged

log = structlog.get_logger()


class Filters:
    """Every filter by tenant and name."""

    def __init__(self, database: GuardedDatabase) -> None:
        self._by_name: dict[Name, Filter] = {}
        self._view = ViewFallback(
            database,
            SQL.filters,
            self._by_name,
            lambda row: self._add(row["tenant"], row["name"], row["expression"]),
        )

    def apply(self, key: str, announced: FilterChanged | None) -> None:
        """Apply a record of filters-v1; None is a tombstone."""
        tenant, _, name = key.partition(":")
        self._by_name.pop((tenant, name), None)
        if announced is None:
            self._view.deleted((tenant, name))
        else:
            self._add(tenant, name, announced.expression)

    def retain(self, keys: set[str]) -> None:
        """Remove the filters that only the view had: `keys` are all of filters-v1."""
        for tenant, name in list(self._by_name):
            if (key := f"{tenant}:{name}") not in keys:
                self.apply(key, None)

    def known(self, tenant: str, name: str) -> Filter | None:
        """Return the filter of that name if it is in memory, else None."""
        return self._by_name.get((tenant, name))

    async def find(self, tenant: str, name: str) -> Filter | None:
        """Return the filter of that name; None if there is none.

        An unknown filter is looked up in the engine's view, at most twice a second: a program uses a filter
        as soon as it has created it.
        """
        if (tenant, name) not in self._by_name:
            await self._view.read()
        return self._by_name.get((tenant, name))

    def _add(self, tenant: str, name: str, expression: str) -> None:
        try:
            self._by_name[tenant, name] = Filter.parse(expression)
        except FilterError as error:
            log.warning("filters.invalid_expression", tenant=tenant, filter=name, error=str(error))
