"""Reports: what the shop sold, to whom, and which products go together."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Viewer
from services.dashboard.domain.report_charts import circle, monthly
from services.dashboard.pages.site import Page, PageRoutes, get
from services.dashboard.store.services import Reply

PERIODS = {
    "30days": "30 days",
    "90days": "90 days",
    "1year": "Year",
    "3years": "3 years",
    "all": "All",
}
ROWS, MONTHS, EDGES = 10, 24, 40
"""Rows of tables, months of charts, edges of the graph; arbitrary."""

Choice = Annotated[str, Query(max_length=100)]


class ReportPages(PageRoutes):
    """The route of reports."""

    @get("/reports")
    async def reports(
        self,
        request: Request,
        visitor: Viewer,
        period: Annotated[str, Query(alias="range", max_length=100)] = "1year",
        source: Choice = "",
    ) -> Response:
        """Show sales, customers and products that go together."""
        chosen = period if period in PERIODS else "1year"
        selection = {"time_filter": chosen, "order_source": source or None}

        async def read(path: str, **more: Any) -> Reply:
            parameters = selection | more
            return await self._services.get(visitor.tenant, "analytics", f"/api/v1/{path}", **parameters)

        (
            totals,
            trend,
            products,
            categories,
            provinces,
            classes,
            cohorts,
            pairs,
            metrics,
            graph,
        ) = await asyncio.gather(
            read("analytics/dashboard"),
            read("analytics/revenue-trend", period="monthly", limit=MONTHS),
            read("analytics/products", limit=ROWS),
            read("analytics/product-categories", limit=ROWS),
            read("analytics/geographic/provinces", limit=ROWS),
            read("ml/rfm-segments"),
            read("analytics/cohorts", limit=MONTHS),
            read("analytics/collaborative-pairs", limit=ROWS),
            read("analytics/collaborative-metrics"),
            read("analytics/co-purchase-graph", limit=EDGES),
        )
        return self._site.render(
            request, visitor, "reports.html", shown=chosen, periods=PERIODS, source=source, totals=totals,
            trend=monthly(trend.get("trend_data", [])), products=products, categories=categories,
            provinces=provinces, classes=classes, cohorts=cohorts, pairs=pairs, metrics=metrics,
            graph=circle(graph.get("nodes", []), graph.get("edges", [])),
        )  # fmt: skip


PAGE = Page("reports", "Reports", "Watch", "viewer", ReportPages.routes)
