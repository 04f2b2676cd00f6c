"""HTTP: reports as CSV files."""

# No `from __future__ import annotations`: FastAPI cannot resolve annotations defined inside a function.
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from services.analytics.api.collaborative import PREFIX
from services.analytics.api.report_reader import ReportReader, Selected, WithThresholds
from services.analytics.domain.customer_classes import CLASSES
from services.analytics.domain.selections import Selection
from services.analytics.store import StoredReport
from shared.auth import Principal
from shared.errors import ApiError
from shared.spreadsheets import as_text

SECTIONS: Final = {
    "dashboard": ("totals", "sources", "statuses", "products"),
    "rfm_segmentation": ("segments", "at-risk"),
    "geographic": ("provinces", "cities"),
    "ml_recommendations": ("popular", "collaborative-products", "collaborative-pairs"),
    "collaborative": (
        "collaborative-metrics",
        "collaborative-products",
        "collaborative-pairs",
        "customer-similarity",
    ),
    "product_categories": ("categories", "brands"),
    "orders": ("orders",),
    "historical_channels": ("imports",),
}
"""Reports by the name of a section."""

_ALL: Final = tuple(dict.fromkeys(report for reports in SECTIONS.values() for report in reports))


class ReportFileRoutes:
    """The routes of CSV files."""

    def __init__(self, reader: ReportReader) -> None:
        self._reader = reader

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(prefix=f"{PREFIX}/export", tags=["Reports"])
        reader, reading = self._reader, self._reader.caller

        @routes.get("/dashboard-csv", operation_id="export_dashboard", response_class=Response)
        async def export_dashboard(
            chosen: Selected,
            sections: Annotated[
                str, Query(max_length=1_000, description=f"{', '.join(SECTIONS)}; others and `all` are all")
            ] = "all",
            caller: Principal = reading,
        ) -> Response:
            """Return the reports of one or more sections, one table below the other."""
            names = [name.strip().casefold() for name in sections.split(",")]
            known = [report for name in names for report in SECTIONS.get(name, _ALL)]
            reports = {name: await reader.read(caller, chosen, name) for name in dict.fromkeys(known)}
            return _file("-".join(["endcap", *(name for name in names if name in SECTIONS)]), chosen, reports)

        @routes.get("/rfm-campaign-csv", operation_id="export_segment", response_class=Response)
        async def export_segment(
            chosen: WithThresholds,
            segment: Annotated[str, Query(max_length=100, description=", ".join(CLASSES))],
            caller: Principal = reading,
        ) -> Response:
            """Return the customers of a class who spent most; raise ApiError (404) for an unknown one."""
            name = class_named(segment)
            report = await reader.read(caller, chosen, f"segment:{name}")
            return _file(f"endcap-{name.lower().replace(' ', '-')}", chosen, {name: report})

        return routes


def class_named(name: str) -> str:
    """Return a class of customers by its name in any case; raises ApiError 404 for an unknown one."""
    known = {each.casefold(): each for each in CLASSES}
    text = name.strip().replace("_", " ").casefold()
    if text not in known:
        raise ApiError(404, "UnknownSegment", f"There is no segment {name}, only {', '.join(CLASSES)}.")
    return known[text]


def _file(name: str, chosen: Selection, reports: Mapping[str, StoredReport]) -> Response:
    file = io.StringIO()
    writer = csv.writer(file)
    for title, report in reports.items():
        if file.tell():
            writer.writerow([])
        writer.writerow([title, chosen.period, f"{report.computed_at:%Y-%m-%dT%H:%M:%SZ}"])
        rows: Sequence[Mapping[str, Any]] = report.rows or ([dict(report.summary)] if report.summary else [])
        columns = list(rows[0]) if rows else []
        writer.writerow(columns)
        writer.writerows(_cells(row, columns) for row in rows)
    headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
    return Response(file.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _cells(row: Mapping[str, Any], columns: Iterable[str]) -> list[str]:
    """Return a row as texts; numbers stay numbers, and nested values are joined."""
    return [_cell(row.get(column)) for column in columns]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return as_text("; ".join(f"{name}: {_cell(each)}" for name, each in value.items()))
    if isinstance(value, list):
        return as_text("; ".join(_cell(each) for each in value))
    return str(value) if isinstance(value, (int, float)) else as_text(str(value))
