"""HTTP: metrics of placements, strategies and variants, and of the shop as a whole."""

# No `from __future__ import annotations`: FastAPI cannot resolve annotations defined inside a function.
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from services.analytics.api import assembly
from services.analytics.api.bodies import AttributionRule, Figures, Freshness, Overview, PlacementMetrics
from services.analytics.domain.figures import day_of
from services.analytics.domain.reports import (
    GROUPS,
    Grouping,
    Period,
    grouping_of,
    measures_by_time,
    summed,
    with_prefix,
)
from services.analytics.store import Reports
from shared.auth import Authenticator, Principal
from shared.errors import ApiError
from shared.events.values import Name, instant

MAX_ROWS = 20_000
"""Rows of figures in one answer, about 10 MB of JSON. Arbitrary."""

_Time = Annotated[datetime | None, Query(description="ISO 8601; a time without a zone is UTC")]


class MetricsRoutes:
    """The routes that read what has been counted."""

    def __init__(self, reports: Reports, authenticator: Authenticator, rule: AttributionRule) -> None:
        self._reports = reports
        self._authenticator = authenticator
        self._rule = rule

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(prefix="/v1/metrics", tags=["Metrics"])
        Reader = Annotated[Principal, Depends(self._authenticator.require("read"))]  # noqa: N806
        From = Annotated[_Time, Query(alias="from")]  # noqa: N806
        To = Annotated[_Time, Query(alias="to")]  # noqa: N806

        @routes.get("/placements", operation_id="placement_metrics")
        async def placement_metrics(
            caller: Reader,
            begin: From = None,
            end: To = None,
            interval: Literal["hour", "day"] = "day",
            by: Annotated[
                str, Query(max_length=100, description=f"some of {', '.join(GROUPS)}, separated by commas")
            ] = "placement",
            placement: Annotated[Name | None, Query(description="only answers of this placement")] = None,
        ) -> PlacementMetrics:
            """Return clicks, conversions and attributed revenue, by group and interval.

            Without a range it covers the last 30 days, or the last 24 hours.
            """
            period, grouping = _period(begin, end, interval), _grouping(by)
            return await self._placements(caller.own_tenant, period, grouping, placement)

        @routes.get("/overview", operation_id="metrics_overview")
        async def metrics_overview(
            caller: Reader, begin: From = None, end: To = None, interval: Literal["hour", "day"] = "hour"
        ) -> Overview:
            """Return events, orders, answers, attributed revenue, coverage and freshness of the shop."""
            return await self._overview(caller.own_tenant, _period(begin, end, interval))

        return routes

    async def _placements(
        self, tenant: str, period: Period, grouping: Grouping, placement: str | None
    ) -> PlacementMetrics:
        rows = await self._reports.figures(tenant, period, grouping, placement, MAX_ROWS + 1)
        if len(rows) > MAX_ROWS:
            detail = (
                f"That is more than {MAX_ROWS:,} figures; choose a shorter range, or fewer groups in `by`."
            )
            raise ApiError(400, "TooMany", detail)
        # An answer counts once in the total, but for each of its strategies in the groups.
        whole = grouping - {"strategy"}
        totals = rows if whole == grouping else await self._whole(tenant, period, placement)
        return PlacementMetrics(
            begin=period.begin,
            end=period.end,
            interval=period.interval,
            by=[name for name in GROUPS if name in grouping],
            attribution=self._rule,
            total=Figures(**assembly.figures(summed(totals))),
            groups=assembly.groups(rows),
        )

    async def _whole(
        self, tenant: str, period: Period, placement: str | None = None
    ) -> list[dict[str, object]]:
        return await self._reports.figures(tenant, period, frozenset(), placement, MAX_ROWS)

    async def _overview(self, tenant: str, period: Period) -> Overview:
        rows = await self._whole(tenant, period)
        measures = measures_by_time(await self._reports.measures(tenant, period))
        days = Period(day_of(period.begin), period.end, "day")
        by_day = measures_by_time(await self._reports.measures(tenant, days))
        total, sums = assembly.total_activity(measures, rows)
        freshness = dict(await self._reports.freshness(tenant))
        return Overview(
            begin=period.begin,
            end=period.end,
            interval=period.interval,
            attribution=self._rule,
            total=total,
            events_by_type=with_prefix(sums, "events:"),
            answers_by_source=with_prefix(sums, "answers:"),
            points=assembly.activities(period.times, measures, rows),
            coverage=assembly.coverage(by_day, await self._reports.items(tenant)),
            freshness=Freshness.model_validate({**dict.fromkeys(Freshness.model_fields), **freshness}),
        )


def _period(begin: datetime | None, end: datetime | None, interval: Literal["hour", "day"]) -> Period:
    """Return the period of a request; raises ApiError 400."""
    try:
        times = [None if time is None else instant(time) for time in (begin, end)]
        return Period.of(times[0], times[1], interval, datetime.now(UTC))
    except (ValueError, OverflowError) as error:
        raise ApiError(400, "InvalidRequest", f"{error}.") from None


def _grouping(text: str) -> Grouping:
    """Return the groups of a request; raises ApiError 400."""
    try:
        return grouping_of(text)
    except ValueError as error:
        raise ApiError(400, "InvalidRequest", f"{error}.") from None
