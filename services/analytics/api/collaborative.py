"""HTTP: reports of products and customers that go together."""

# No `from __future__ import annotations`: FastAPI cannot resolve annotations defined inside a function.
from fastapi import APIRouter

from services.analytics.api.collaborative_bodies import (
    CollaborativeMetrics,
    CollaborativePairs,
    CollaborativeProducts,
    CoPurchaseGraph,
    CustomerSimilarity,
)
from services.analytics.api.report_reader import Limit, Offset, ReportReader, Selected, head, page
from shared.auth import Principal

PREFIX = "/api/v1"


class CollaborativeRoutes:
    """The routes of co-purchases and similar customers."""

    def __init__(self, reader: ReportReader) -> None:
        self._reader = reader

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(prefix=f"{PREFIX}/analytics", tags=["Reports"])
        reader, reading = self._reader, self._reader.caller

        @routes.get("/collaborative-products", operation_id="collaborative_products")
        async def collaborative_products(
            chosen: Selected, limit: Limit = 10, offset: Offset = 0, caller: Principal = reading
        ) -> CollaborativeProducts:
            """Return products that are bought together with many others."""
            report = await reader.read(caller, chosen, "collaborative-products")
            return CollaborativeProducts(**page(chosen, report, limit, offset, "products"))

        @routes.get("/collaborative-pairs", operation_id="collaborative_pairs")
        async def collaborative_pairs(
            chosen: Selected, limit: Limit = 10, offset: Offset = 0, caller: Principal = reading
        ) -> CollaborativePairs:
            """Return pairs of products that are in the same orders, with support, confidence and lift."""
            report = await reader.read(caller, chosen, "collaborative-pairs")
            return CollaborativePairs(**page(chosen, report, limit, offset, "pairs"), summary=report.summary)

        @routes.get("/customer-similarity", operation_id="customer_similarity")
        async def customer_similarity(
            chosen: Selected, limit: Limit = 10, offset: Offset = 0, caller: Principal = reading
        ) -> CustomerSimilarity:
            """Return customers who bought what many others bought."""
            report = await reader.read(caller, chosen, "customer-similarity")
            return CustomerSimilarity(**page(chosen, report, limit, offset, "customers"))

        @routes.get("/collaborative-metrics", operation_id="collaborative_metrics")
        async def collaborative_metrics(
            chosen: Selected, caller: Principal = reading
        ) -> CollaborativeMetrics:
            """Return figures of co-purchases, and how well they predict the last orders of customers."""
            report = await reader.read(caller, chosen, "collaborative-metrics")
            return CollaborativeMetrics(**head(chosen, report), **report.summary)

        @routes.get("/co-purchase-graph", operation_id="co_purchase_graph")
        async def co_purchase_graph(
            chosen: Selected, limit: Limit = 100, caller: Principal = reading
        ) -> CoPurchaseGraph:
            """Return the graph of products that are bought together: at most `limit` edges."""
            report = await reader.read(caller, chosen, "co-purchase-graph")
            edges = report.rows[:limit]
            ends = {edge[end] for edge in edges for end in ("source", "target")}
            nodes = [node for node in report.summary.get("nodes", ()) if node["id"] in ends]
            return CoPurchaseGraph(**head(chosen, report), total_edges=report.total, nodes=nodes, edges=edges)

        return routes
