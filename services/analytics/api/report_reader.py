"""The parameters of requests for reports, and reading a report that the worker computes."""

# No `from __future__ import annotations`: FastAPI cannot resolve annotations defined inside a function.
import asyncio
import time
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from services.analytics.domain.report_rows import MAX_ROWS
from services.analytics.domain.report_set import NAMES
from services.analytics.domain.selections import ORDER_SOURCES, PERIODS, Selection, thresholds_of
from services.analytics.store import OrderReports, StoredReport
from shared.auth import Authenticator, Principal
from shared.errors import ApiError

POLL_SECONDS = 0.2
"""Interval of looking for a report that is being computed."""
RETRY_SECONDS = 5
AGAIN_SECONDS = 600
"""Requests for all reports within this time are one, since a computation may take minutes. Arbitrary."""
_NO_NAMES: Final = {"categories": (), "provinces": (), "cities": ()}
MAX_LENGTH = 1_000

Limit = Annotated[int, Query(ge=1, le=MAX_ROWS, description="rows of the answer")]
Offset = Annotated[int, Query(ge=0, le=MAX_ROWS, description="rows before the first one of the answer")]
Place = Annotated[str | None, Query(max_length=200)]
_Days = Annotated[int | None, Query(ge=0, le=36_500)]
_Orders = Annotated[int | None, Query(ge=0, le=1_000_000)]
_Spent = Annotated[float | None, Query(ge=0, le=1e12)]


class ReportBody(BaseModel):
    """The members that every answer has."""

    success: bool = True
    time_filter: str = Field(description="the period of the orders")
    computed_at: datetime = Field(description="when the orders were read; later ones are not in it")


class ReportPage(ReportBody):
    """Rows of a report, and the place of the next ones."""

    total_count: int = Field(description="rows of the whole report")
    next_offset: int | None = Field(
        description=f"`offset` of the next rows; null after the last, and after the first {MAX_ROWS}"
    )


def selection(
    *,
    time_filter: Annotated[
        str,
        Query(
            max_length=MAX_LENGTH,
            description=f"{', '.join(PERIODS)}, or YYYY-MM-DD:YYYY-MM-DD; another name is all",
        ),
    ] = "all",
    category: Annotated[
        str | None, Query(max_length=MAX_LENGTH, description="one or more, separated by commas")
    ] = None,
    categories: Annotated[str | None, Query(max_length=MAX_LENGTH, description="as `category`")] = None,
    province: Place = None,
    city: Place = None,
    order_source: Annotated[
        str | None, Query(max_length=MAX_LENGTH, description=f"{', '.join(ORDER_SOURCES)}; all without it")
    ] = None,
    delivered_only: Annotated[
        bool, Query(description="only orders that are fulfilled, or of which no status is known")
    ] = False,
) -> Selection:
    """Return the selection of a request; raises ApiError 400."""
    named = ",".join(filter(None, (category, categories)))
    try:
        chosen = Selection.of(time_filter, named, province, city, order_source)
    except ValueError as error:
        raise ApiError(400, "InvalidRequest", f"{error}.") from None
    return replace(chosen, delivered_only=delivered_only)


Selected = Annotated[Selection, Depends(selection)]


def with_thresholds(
    *,
    chosen: Selected,
    champion_r: _Days = None,
    champion_f: _Orders = None,
    champion_m: _Spent = None,
    loyal_r: _Days = None,
    loyal_f: _Orders = None,
    loyal_m: _Spent = None,
    at_risk_r_min: _Days = None,
    at_risk_r_max: _Days = None,
    at_risk_f: _Orders = None,
    hibernating_r: _Days = None,
    lost_r: _Days = None,
) -> Selection:
    """Return the selection of a request with its limits of customer classes."""
    values = {
        "champion_r": champion_r,
        "champion_f": champion_f,
        "champion_m": champion_m,
        "loyal_r": loyal_r,
        "loyal_f": loyal_f,
        "loyal_m": loyal_m,
        "at_risk_r_min": at_risk_r_min,
        "at_risk_r_max": at_risk_r_max,
        "at_risk_f": at_risk_f,
        "hibernating_r": hibernating_r,
        "lost_r": lost_r,
    }
    return replace(chosen, thresholds=thresholds_of(values))


WithThresholds = Annotated[Selection, Depends(with_thresholds)]


class ReportReader:
    """Reads stored reports. The worker computes a selection that nobody asked for before."""

    def __init__(self, reports: OrderReports, authenticator: Authenticator, wait_seconds: float) -> None:
        self._reports = reports
        self._wait_seconds = wait_seconds
        self.caller = Depends(authenticator.require("read"))

    async def read(self, caller: Principal, chosen: Selection, name: str) -> StoredReport:
        """Return a report; raises ApiError 503 if it is not computed in time."""
        tenant, key = caller.own_tenant, chosen.key
        report = await self._reports.read(tenant, key, name)
        if report is not None:
            return report
        everything = await self._reports.read(tenant, Selection().key, NAMES)
        if everything is not None and chosen.is_empty_in(everything.summary or _NO_NAMES):
            return StoredReport(everything.computed_at, (), 0, {})
        await self._reports.ask(tenant, key)
        for _ in range(round(self._wait_seconds / POLL_SECONDS)):
            await asyncio.sleep(POLL_SECONDS)
            report = await self._reports.read(tenant, key, name)
            if report is not None:
                return report
        detail = "This report is being computed for the first time; send the request again in a moment."
        raise ApiError(503, "ReportNotReady", detail, retry_after=RETRY_SECONDS)

    async def compute_again(self, caller: Principal) -> bool:
        """Let the worker compute all reports; return False if that was requested in these ten minutes."""
        period = int(time.time() // AGAIN_SECONDS)
        return await self._reports.ask_for_all(caller.own_tenant, f"asked:{period}")


def head(chosen: Selection, report: StoredReport) -> dict[str, Any]:
    """Return the members of `ReportBody`."""
    return {"time_filter": chosen.period, "computed_at": report.computed_at}


def page(chosen: Selection, report: StoredReport, limit: int, offset: int, rows: str) -> dict[str, Any]:
    """Return the members of a page, whose rows are the member `rows`."""
    end = offset + limit
    return {
        **head(chosen, report),
        "total_count": report.total,
        "next_offset": end if end < len(report.rows) else None,
        rows: report.rows[offset:end],
    }
