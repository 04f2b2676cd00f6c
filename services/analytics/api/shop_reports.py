"""HTTP: the reports that dashboards of existing shops read. docs/reports.md defines every number."""

# No `from __future__ import annotations`: FastAPI cannot resolve annotations defined inside a function.
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal, NamedTuple

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from services.analytics.api.collaborative import PREFIX
from services.analytics.api.report_files import class_named
from services.analytics.api.report_reader import (
    Limit,
    Offset,
    ReportBody,
    ReportPage,
    ReportReader,
    Selected,
    WithThresholds,
    head,
    page,
)
from services.analytics.domain.order_statuses import of_source
from services.analytics.domain.report_rows import MAX_ROWS
from services.analytics.domain.sales_trends import INTERVALS
from shared.auth import Principal
from shared.errors import ApiError


class ReportRows(ReportPage):
    """Rows of a report, in the member that the description of the route names."""

    model_config = ConfigDict(extra="allow")


class ReportFigures(ReportBody):
    """Figures of a report, as docs/reports.md defines them."""

    model_config = ConfigDict(extra="allow")


class ReportsQueued(BaseModel):
    """A request to compute all reports again."""

    success: bool = True
    status: Literal["queued", "running"] = Field(
        description="running if it was requested in these ten minutes before; see computed_at of a report"
    )
    keys: list[str] = Field(description="of /ml/precomputed/{key}")


class Listed(NamedTuple):
    """A route that answers the rows of a report: its path, the report, the members of the rows."""

    path: str
    report: str
    members: tuple[str, ...]
    about: str
    limit: int = 10


LISTED: Final = (
    Listed(
        "/analytics/product-categories", "categories", ("categories",), "categories, by revenue", MAX_ROWS
    ),
    Listed("/analytics/products", "products", ("products",), "products, by revenue", 50),
    Listed("/analytics/brands/performance", "brands", ("brands",), "brands, by revenue"),
    Listed("/analytics/geographic/provinces", "provinces", ("provinces",), "provinces, by revenue", MAX_ROWS),
    Listed("/analytics/geographic/cities", "cities", ("cities",), "cities, by revenue"),
    Listed(
        "/analytics/geographic/category-by-province",
        "category-provinces",
        ("categories",),
        "provinces and categories, by revenue",
        MAX_ROWS,
    ),
    Listed("/analytics/customers/rfm-segments", "segments", ("segments",), "classes of customers", MAX_ROWS),
    Listed("/analytics/customers/at-risk", "at-risk", ("customers",), "customers at risk, by spending", 50),
    Listed("/analytics/cohorts", "cohorts", ("cohorts",), "months of first orders, and who came again", 24),
    Listed("/recommendations/popular", "popular", ("recommendations", "products"), "products, by orders"),
    Listed("/locations/users", "customers", ("users",), "customers of a place, by spending", 50),
    Listed("/ml/rfm-segments", "segments", ("segments",), "classes of customers", MAX_ROWS),
    Listed("/ml/top-products", "products", ("products",), "products, by revenue"),
    Listed("/ml/product-pairs", "collaborative-pairs", ("pairs",), "pairs of products in the same orders"),
    Listed("/ml/customer-similarity", "customer-similarity", ("customers",), "similar customers"),
    Listed("/ml/collaborative-products", "collaborative-products", ("products",), "products with companions"),
)

PRECOMPUTED: Final = {
    "top_products": "products",
    "product_pairs": "collaborative-pairs",
    "customer_similarity": "customer-similarity",
    "collaborative_products": "collaborative-products",
    "rfm_segments": "segments",
    "popular": "popular",
}
"""Reports by the keys of `/ml/precomputed/{key}`."""


class ShopReportRoutes:
    """The routes of sales, customers and places."""

    def __init__(self, reader: ReportReader) -> None:
        self._reader = reader

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(prefix=PREFIX, tags=["Reports"])
        for listed in LISTED:
            name = listed.path[1:].replace("/", "_").replace("-", "_")
            routes.add_api_route(
                listed.path,
                self._rows_of(listed),
                operation_id=name,
                summary=f"Return {listed.about}",
                description=f"The rows are the member `{'` and `'.join(listed.members)}`.",
                response_model=ReportRows,
            )
        self._add_places(routes)
        self._add_sales(routes)
        self._add_customers(routes)
        return routes

    def _rows_of(self, listed: Listed) -> Callable[..., Awaitable[ReportRows]]:
        reader, reading = self._reader, self._reader.caller

        async def rows(
            chosen: Selected, limit: Limit = listed.limit, offset: Offset = 0, caller: Principal = reading
        ) -> ReportRows:
            report = await reader.read(caller, chosen, listed.report)
            first, *names = listed.members
            answer = page(chosen, report, limit, offset, first)
            copies = dict.fromkeys(names, answer[first])
            summary = {} if listed.report == "cohorts" else {"summary": report.summary}
            return ReportRows(**answer, **copies, **summary)

        return rows

    def _add_places(self, routes: APIRouter) -> None:
        reader, reading = self._reader, self._reader.caller

        async def biggest(chosen: Selected, caller: Principal, name: str) -> ReportRows:
            report = await reader.read(caller, chosen, name)
            answer = page(chosen, report, MAX_ROWS, 0, name)
            answer[name] = sorted(report.rows, key=lambda row: -row["order_count"])
            return ReportRows(**answer)

        @routes.get("/locations/provinces", operation_id="locations_provinces")
        async def provinces(chosen: Selected, caller: Principal = reading) -> ReportRows:
            """Return provinces with their orders and customers, the one with the most orders first."""
            return await biggest(chosen, caller, "provinces")

        @routes.get("/locations/cities", operation_id="locations_cities")
        async def cities(chosen: Selected, caller: Principal = reading) -> ReportRows:
            """Return cities with their orders and customers, the one with the most orders first."""
            return await biggest(chosen, caller, "cities")

        @routes.get("/analytics/geographic/city-performance/{name}", operation_id="city_performance")
        async def city_performance(
            chosen: Selected, name: Annotated[str, Path(max_length=200)], caller: Principal = reading
        ) -> ReportFigures:
            """Return the sales of a city; raise ApiError (404) for one without an order."""
            report = await reader.read(caller, chosen, "cities")
            rows = [row for row in report.rows if row["city"].casefold() == name.strip().casefold()]
            if not rows:
                raise ApiError(404, "UnknownCity", f"There is no order from {name}.")
            return ReportFigures(**head(chosen, report), **rows[0])

        @routes.get("/analytics/historical/store-channels", operation_id="store_channels")
        async def store_channels(chosen: Selected, caller: Principal = reading) -> ReportFigures:
            """Return the sources of imported orders with their customers, and the provinces of these."""
            report = await reader.read(caller, chosen, "imports")
            total = report.summary.get("total_historical", 0)
            return ReportFigures(**head(chosen, report), total_historical=total, channels=report.rows)

    def _add_sales(self, routes: APIRouter) -> None:
        reader, reading = self._reader, self._reader.caller

        @routes.get("/analytics/dashboard", operation_id="sales_dashboard")
        async def dashboard(chosen: Selected, caller: Principal = reading) -> ReportFigures:
            """Return revenue, orders, customers, products and the product that sold best."""
            report = await reader.read(caller, chosen, "totals")
            return ReportFigures(**head(chosen, report), **(NO_SALES | dict(report.summary)))

        @routes.get("/analytics/revenue-trend", operation_id="revenue_trend")
        async def revenue_trend(
            chosen: Selected,
            period: Annotated[str, Query(max_length=20, description=", ".join(INTERVALS))] = "daily",
            limit: Limit = 7,
            caller: Principal = reading,
        ) -> ReportFigures:
            """Return the newest intervals with their revenue; hours for `today` by `daily`."""
            is_today = (period, chosen.period) == ("daily", "today")
            interval = "hourly" if is_today else period if period in INTERVALS else "daily"
            report = await reader.read(caller, chosen, f"trend:{interval}")
            summary = {"max_revenue": 0.0} | dict(report.summary)
            return ReportFigures(**head(chosen, report), trend_data=report.rows[-limit:], summary=summary)

        @routes.get("/analytics/pos-vs-oe-revenue", operation_id="order_source_revenue")
        async def order_source_revenue(chosen: Selected, caller: Principal = reading) -> ReportFigures:
            """Return the revenue of online orders, stores and imported files, and what sold best in each."""
            report = await reader.read(caller, chosen, "sources")
            summary = {"total_revenue": 0.0, "total_orders": 0, "order_types_count": 0} | dict(report.summary)
            best = summary.pop("top_products_per_type", {})
            return ReportFigures(
                **head(chosen, report),
                summary=summary,
                revenue_breakdown=report.rows,
                top_products_per_type=best,
            )

        @routes.get("/analytics/order-status-breakdown", operation_id="order_statuses")
        async def order_statuses(chosen: Selected, caller: Principal = reading) -> ReportFigures:
            """Return orders by status, those that are not bought included, online and in stores."""
            report = await reader.read(caller, chosen, "statuses")
            sources = {source: of_source(list(report.rows), source) for source in ("oe", "pos", "historical")}
            return ReportFigures(**head(chosen, report), **sources)

        @routes.post("/ml/precompute", operation_id="precompute_reports", status_code=202)
        async def precompute(caller: Principal = reading) -> ReportsQueued:
            """Let all reports be computed again; requests of the same ten minutes are one."""
            is_new = await reader.compute_again(caller)
            return ReportsQueued(status="queued" if is_new else "running", keys=[*PRECOMPUTED])

        @routes.get("/ml/precomputed/{key}", operation_id="precomputed_report")
        async def precomputed(
            chosen: Selected, key: Annotated[str, Path(max_length=100)], caller: Principal = reading
        ) -> ReportRows:
            """Return a report by its key; raise ApiError (404) for an unknown one."""
            if key not in PRECOMPUTED:
                raise ApiError(404, "UnknownReport", f"There is no {key}, only {', '.join(PRECOMPUTED)}.")
            report = await reader.read(caller, chosen, PRECOMPUTED[key])
            return ReportRows(**page(chosen, report, MAX_ROWS, 0, "data"))

    def _add_customers(self, routes: APIRouter) -> None:
        reader, reading = self._reader, self._reader.caller

        @routes.get("/analytics/customers/segment-details/{name}", operation_id="segment_details")
        async def segment_details(
            chosen: Selected,
            name: Annotated[str, Path(max_length=100)],
            limit: Limit = 20,
            offset: Offset = 0,
            caller: Principal = reading,
        ) -> ReportRows:
            """Return customers of a class, the best first; raise ApiError (404) for an unknown one."""
            report = await reader.read(caller, chosen, f"segment:{class_named(name)}")
            return ReportRows(**page(chosen, report, limit, offset, "customers"))

        @routes.get("/analytics/customers/rfm-custom", operation_id="rfm_custom")
        async def rfm_custom(chosen: WithThresholds, caller: Principal = reading) -> ReportFigures:
            """Return how many customers are in each class, by limits of the caller."""
            report = await reader.read(caller, chosen, "segments-custom")
            total = report.summary.get("total_customers", 0)
            return ReportFigures(**head(chosen, report), segments=report.rows, total_customers=total)

        @routes.get("/analytics/customer-profiling", operation_id="customer_profiling")
        async def customer_profiling(chosen: Selected, caller: Principal = reading) -> ReportFigures:
            """Return new and returning customers, and customers and revenue by region."""
            report = await reader.read(caller, chosen, "totals")
            places = await reader.read(caller, chosen, "provinces")
            regions: dict[str, dict[str, Any]] = {}
            for row in places.rows:
                region = regions.setdefault(
                    row["region"], {"region": row["region"], "customer_count": 0, "revenue": 0.0}
                )
                region["customer_count"] += row["customer_count"]
                region["revenue"] = round(region["revenue"] + row["total_revenue"], 2)
            figures = NO_SALES | dict(report.summary)
            return ReportFigures(
                **head(chosen, report), **figures, geographic_distribution=[*regions.values()]
            )


NO_SALES: Final = {
    **dict.fromkeys(("total_revenue", "avg_order_value", "total_quantity_sold"), 0.0),
    **dict.fromkeys(("total_orders", "total_customers", "unique_customers", "total_products"), 0),
    **dict.fromkeys(("new_customers", "returning_customers"), 0),
    "top_selling_product": None,
}
"""The figures of a selection without sales."""
