"""Read figures and measures for people and dashboards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from services.analytics.domain.reports import Grouping, Period
from services.analytics.store.sql import SQL

if TYPE_CHECKING:
    from shared.postgres import Database


class Reports:
    """Reads what has been counted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def figures(
        self, tenant: str, period: Period, grouping: Grouping, placement: str | None, limit: int
    ) -> list[dict[str, Any]]:
        """Return at most `limit` rows of figures by time and group, in the order of time."""
        rows = await self._database.fetch(
            *SQL.figures_of_series(
                tenant=tenant,
                grain=period.interval,
                begin=period.begin,
                end=period.end,
                by_surface="surface" in grouping,
                by_placement="placement" in grouping,
                by_strategy="strategy" in grouping,
                by_variant="variant" in grouping,
                placement=placement,
                rows=limit,
            )
        )
        return [dict(row) for row in rows]

    async def measures(self, tenant: str, period: Period) -> Sequence[Mapping[str, Any]]:
        """Return the measures of a tenant in the order of time."""
        return await self._database.fetch(
            *SQL.measures_of_tenant(tenant=tenant, grain=period.interval, begin=period.begin, end=period.end)
        )

    async def freshness(self, tenant: str) -> Mapping[str, Any]:
        """Return the newest times of a tenant; empty if nothing was counted yet."""
        return await self._database.fetchrow(*SQL.freshness_of_tenant(tenant=tenant)) or {}

    async def items(self, tenant: str) -> int | None:
        """Return the number of items in the catalogue; None if sync has not counted them yet."""
        count: int | None = await self._database.fetchval(*SQL.items_of_tenant(tenant=tenant))
        return count
