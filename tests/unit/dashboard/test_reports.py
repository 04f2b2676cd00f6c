"""The page of reports: what analytics answers, and the graph of products."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.analytics.domain.report_set import reports_of
from services.dashboard.domain.report_charts import circle, monthly
from services.dashboard.store.sessions import Person
from tests.unit.analytics.order_rows import NOW, lines_of, made_up_rows
from tests.unit.dashboard.site import absent, browser

VIEWER = Person("vera", "shop", "viewer")
REPORTS = reports_of(lines_of(made_up_rows(100)), NOW.date())
ROWS = {
    "analytics/revenue-trend": ("trend_data", "trend:monthly"),
    "analytics/products": ("products", "products"),
    "analytics/product-categories": ("categories", "categories"),
    "analytics/geographic/provinces": ("provinces", "provinces"),
    "ml/rfm-segments": ("segments", "segments"),
    "analytics/cohorts": ("cohorts", "cohorts"),
    "analytics/collaborative-pairs": ("pairs", "collaborative-pairs"),
    "analytics/co-purchase-graph": ("edges", "co-purchase-graph"),
}
FIGURES = {"analytics/dashboard": "totals", "analytics/collaborative-metrics": "collaborative-metrics"}


def analytics(request: httpx.Request) -> httpx.Response:
    """Answer as analytics does."""
    path = request.url.path.removeprefix("/api/v1/")
    body: dict[str, Any] = {"computed_at": NOW.isoformat()}
    if path in FIGURES:
        body |= REPORTS[FIGURES[path]].summary
    else:
        member, name = ROWS[path]
        body |= {**REPORTS[name].summary, member: list(REPORTS[name].rows)[:40]}
        ends = {edge[end] for edge in body.get("edges", []) for end in ("source", "target")}
        body["nodes"] = [node for node in body.get("nodes", []) if node["id"] in ends]
    return httpx.Response(200, json=body)


async def test_the_page_shows_every_report(monkeypatch: pytest.MonkeyPatch) -> None:
    async with browser(monkeypatch, VIEWER, analytics) as page:
        answer = await page.get("/dashboard/reports?range=all&source=pos")

    assert answer.status_code == 200
    pair = REPORTS["collaborative-pairs"].rows[0]
    for text in (
        pair["product_a_name"],
        "Punjab",
        "c1",
        REPORTS["cohorts"].rows[0]["cohort"],
        "<svg",
        "data-chart",
    ):
        assert text in answer.text


async def test_the_page_says_what_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async with browser(monkeypatch, VIEWER, absent) as page:
        answer = await page.get("/dashboard/reports")

    assert answer.status_code == 200
    assert "analytics" in answer.text


def test_nodes_are_on_a_circle_and_wider_edges_have_more_orders() -> None:
    nodes = [{"id": name, "name": name, "order_count": 1} for name in "abcd"]
    edges = [{"source": "a", "target": "c", "weight": 4}, {"source": "b", "target": "d", "weight": 2}]

    graph = circle(nodes, edges)

    assert [round(node["x"] ** 2 + node["y"] ** 2) for node in graph["nodes"]] == [10_000] * 4
    assert [(edge["from"], edge["width"]) for edge in graph["edges"]] == [
        ((100.0, 0.0), 5),
        ((0.0, 100.0), 3),
    ]
    assert circle([], []) == {"nodes": [], "edges": []}
    assert monthly([{"period": "2026-01-01", "total_revenue": 2.0, "total_orders": 1}])["times"] == [
        1767225600
    ]
