"""Overview: what the shop did, and what recommendations sold, by placement and strategy."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Viewer
from services.dashboard.domain.exposition import Samples, parse
from services.dashboard.domain.overview import (
    FIGURES,
    MOST_SERIES,
    RANGES,
    Figure,
    Range,
    activity_series,
    coverage_series,
    group_name,
    group_series,
    quantile,
    times,
)
from services.dashboard.pages.site import Page, Site

if TYPE_CHECKING:
    from services.dashboard.store.services import Reply

WORKER_OFFSET = 100
PERCENTILE = 0.95

Choice = Annotated[str, Query(max_length=100)]


class Overview:
    """Reads the figures of a tenant, and the durations that the recommender measures."""

    def __init__(self, site: Site) -> None:
        self._services = site.services
        self._settings = site.settings

    async def replies(self, tenant: str, begin: datetime, interval: str, placement: str) -> tuple[Reply, ...]:
        """Return the replies about the shop, its placements, and the strategies of one or all of them."""
        range_ = {"from": begin.isoformat(), "interval": interval}
        path = "/v1/metrics/placements"
        return await asyncio.gather(
            self._services.get(tenant, "analytics", "/v1/metrics/overview", **range_),
            self._services.get(tenant, "analytics", path, by="surface,placement", **range_),
            self._services.get(
                tenant, "analytics", path, by="strategy", placement=placement or None, **range_
            ),
        )

    async def durations(self) -> dict[str, float | None]:
        """Return 95th percentiles in seconds since the start of processes; None where nothing is measured."""
        serve, worker = await asyncio.gather(self._samples(0), self._samples(WORKER_OFFSET))
        return {
            "score": quantile(serve, "endcap_recommender_score_seconds", PERCENTILE),
            "freshness": quantile(worker, "endcap_recommender_freshness_seconds", PERCENTILE),
        }

    async def _samples(self, offset: int) -> Samples:
        url = urlsplit(self._settings.services.of("recommender"))
        port = (url.port or {"http": 80, "https": 443}.get(url.scheme, 80)) + offset
        process = "recommender-worker" if offset else "recommender"
        address = self._settings.probe_url or f"{url.scheme}://{url.hostname}:{{port}}"
        reply = await self._services.fetch(
            "recommender", "GET", address.format(process=process, port=port) + "/metrics"
        )
        return Samples(parse(reply.body)) if reply.ok and isinstance(reply.body, str) else Samples()


def routes(site: Site) -> APIRouter:
    """Return the routes of the page."""
    pages, overview = site.router(), Overview(site)

    @pages.get("/overview")
    async def show(
        request: Request,
        visitor: Viewer,
        period: Annotated[str, Query(alias="range", max_length=100)] = "24h",
        figure: Choice = "click_through",
        placement: Choice = "",
    ) -> Response:
        shown, measured = RANGES.get(period, RANGES["24h"]), FIGURES.get(figure, FIGURES["click_through"])
        begin = shown.begin(datetime.now(UTC))
        (whole, placements, strategies), durations = await asyncio.gather(
            overview.replies(visitor.tenant, begin, shown.interval, placement), overview.durations()
        )
        return site.render(
            request, visitor, "overview.html", shown=shown, ranges=RANGES.values(), measured=measured,
            figures=FIGURES.values(), placement=placement, whole=whole, durations=durations,
            charts=_charts(whole, shown), most=MOST_SERIES,
            placements=_groups(placements, shown, measured), strategies=_groups(strategies, shown, measured),
        )  # fmt: skip

    return pages


def _charts(whole: Reply, shown: Range) -> dict[str, Any]:
    """Return the series of the shop's charts."""
    points = whole.get("points", [])
    days, coverage = coverage_series(whole.get("coverage", []))
    return {
        "times": times(whole.get("from", ""), whole.get("to", ""), shown.step),
        "events": activity_series(points, {"events": "events"}),
        "orders": activity_series(points, {"orders": "orders"}),
        "revenue": activity_series(points, {"revenue": "all", "attributed_revenue": "after recommendations"}),
        "answers": activity_series(points, {"answers": "all", "fallback_answers": "fallback"}),
        "days": days,
        "coverage": coverage,
    }


def _groups(reply: Reply, shown: Range, figure: Figure) -> dict[str, Any]:
    """Return a reply with its rows and the series of its chart."""
    groups = reply.get("groups", [])
    at = times(reply.get("from", ""), reply.get("to", ""), shown.step)
    return {
        "reply": reply,
        "rows": [{**group, "name": group_name(group)} for group in groups],
        "times": at,
        "series": group_series(groups, at, figure),
    }


PAGE = Page("overview", "Overview", "Watch", "viewer", routes)
