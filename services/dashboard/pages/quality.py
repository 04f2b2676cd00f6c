"""Quality: who has a list, how old, concentrated and stable lists are, and how they do off- and online."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Viewer
from services.dashboard.domain.overview import FIGURES, MOST_SERIES, RANGES, Series, group_series, times
from services.dashboard.domain.quality import (
    LIST_FIGURES,
    LOW_COVERAGE,
    coverage_lines,
    generation_lines,
    newest_coverage,
    served_since,
)
from services.dashboard.domain.solution_versions import PREFERRED, metric_names, metric_series, metric_title
from services.dashboard.pages.site import Page, PageRoutes, get
from services.dashboard.store.services import Reply

RUNS, GENERATIONS, DAYS = 60, 30, 90
"""Runs, generations and days of coverage of the charts; arbitrary."""

SHOWN = RANGES["30d"]

Metric = Annotated[str, Query(max_length=100)]


class QualityPages(PageRoutes):
    """The route of the quality of what is served."""

    @get("/quality")
    async def quality(self, request: Request, visitor: Viewer, metric: Metric = "") -> Response:
        """Show coverage, ages, figures of generations, offline metrics of runs, and placements online."""
        begin = SHOWN.begin(datetime.now(UTC)).isoformat()
        tenant = visitor.tenant
        lists, runs, overview, placements = await asyncio.gather(
            self._services.get(tenant, "loader", "/v1/quality", limit=GENERATIONS, days=DAYS),
            self._services.get(tenant, "trainer", "/v1/runs", limit=RUNS),
            self._services.get(tenant, "analytics", "/v1/metrics/overview"),
            self._services.get(
                tenant, "analytics", "/v1/metrics/placements",
                by="surface,placement", interval=SHOWN.interval, **{"from": begin},
            ),
        )  # fmt: skip
        rows, generations = runs.get("runs", []), lists.get("generations", [])
        names = metric_names(rows)
        shown = next((name for name in (metric, PREFERRED, *names) if name in names), "")
        return self._site.render(
            request, visitor, "quality.html", lists=lists, runs=runs, overview=overview,
            placements=placements, newest=newest_coverage(lists.get("coverage", [])),
            coverage=coverage_lines(lists.get("coverage", [])), least=LOW_COVERAGE,
            served_since=served_since(generations),
            figures=[(figure, generation_lines(generations, figure)) for figure in LIST_FIGURES],
            metric=shown, metrics=names, metric_title=metric_title, offline=metric_series(rows, shown),
            online=_online(placements),
        )  # fmt: skip


def _online(reply: Reply) -> dict[str, object]:
    """Return the click-through and conversion of placements by day."""
    at = times(reply.get("from", ""), reply.get("to", ""), SHOWN.step)
    groups = reply.get("groups", [])
    return {
        "times": at,
        "click_through": _measured(group_series(groups, at, FIGURES["click_through"])),
        "conversion": _measured(group_series(groups, at, FIGURES["conversion"])),
        "left_out": max(len(groups) - MOST_SERIES, 0),
    }


def _measured(series: Series) -> Series:
    """Return the series that have a value at some time."""
    return [each for each in series if any(value is not None for value in each["values"])]


PAGE = Page("quality", "Quality", "Learn", "viewer", QualityPages.routes)
