"""The overview: ranges, series, quantiles, and what the page says without figures."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from services.dashboard.domain.exposition import Samples, parse
from services.dashboard.domain.overview import (
    FIGURES,
    MOST_SERIES,
    RANGES,
    coverage_series,
    group_name,
    group_series,
    quantile,
    times,
)
from services.dashboard.store.sessions import Person
from tests.unit.dashboard.site import browser

VIEWER = Person("ann", "shop", "viewer")
NOTHING = {"value": None, "low": None, "high": None}
BUCKETS = """
waits_bucket{le="0.1"} 50
waits_bucket{le="0.2"} 90
waits_bucket{le="+Inf"} 100
"""


def group(name: str, **points: Any) -> dict[str, Any]:
    at = [{"at": f"1970-01-01T0{hour[1:]}:00:00Z", **point} for hour, point in points.items()]
    return {"surface": "placement", "placement": name, "points": at}


@pytest.mark.parametrize(("name", "intervals"), [("24h", 24), ("7d", 168), ("30d", 30), ("90d", 90)])
def test_a_range_ends_with_the_interval_of_now(name: str, intervals: int) -> None:
    shown, now = RANGES[name], datetime(2026, 11, 29, 22, tzinfo=UTC)

    assert (now - shown.begin(now)) / shown.step + 1 == intervals


def test_series_have_a_value_at_every_time() -> None:
    rate = {"click_through": {"value": 0.5}, "revenue": 9.5}
    at = times("1970-01-01T00:00:00Z", "1970-01-01T03:00:00Z", RANGES["24h"].step)

    groups = [group("home", h1=rate)]

    assert at == [0, 3600, 7200]
    assert group_series(groups, at, FIGURES["click_through"]) == [
        {"name": "home", "values": [None, 0.5, None]}
    ]
    assert group_series(groups, at, FIGURES["revenue"]) == [{"name": "home", "values": [0.0, 9.5, 0.0]}]
    assert (
        len(group_series([group(str(number)) for number in range(9)], at, FIGURES["answers"])) == MOST_SERIES
    )
    assert times("", "", RANGES["24h"].step) == []


def test_groups_are_named_by_what_they_are_of() -> None:
    assert group_name({"surface": "placement", "placement": "home"}) == "home"
    assert group_name({"surface": "runtime", "placement": None}) == "Personalize runtime"
    assert group_name({"surface": None, "strategy": "for-you"}) == "for-you"
    assert group_name({"surface": None, "strategy": None}) == "no strategy"


def test_the_coverage_of_days_is_a_series_of_shares() -> None:
    days = [{"day": "1970-01-02T00:00:00Z", "visitors_share": {"value": 0.5}, "items_share": None}]

    at, (visitors, items) = coverage_series(days)

    assert (at, visitors["values"], items["values"]) == ([86_400], [0.5], [None])


@pytest.mark.parametrize(("share", "value"), [(0.25, 0.05), (0.7, 0.15), (0.95, 0.2)])
def test_quantiles_are_interpolated_within_a_bucket(share: float, value: float) -> None:
    assert quantile(Samples(parse(BUCKETS)), "waits", share) == pytest.approx(value)


def test_a_histogram_without_observations_has_no_quantile() -> None:
    assert quantile(Samples(), "waits", 0.95) is None
    assert quantile(Samples(parse('waits_bucket{le="+Inf"} 0')), "waits", 0.95) is None


def analytics(request: httpx.Request) -> httpx.Response:
    """Answer as analytics does for a shop without events."""
    if request.url.port != 8008:
        return httpx.Response(404, json={"error": "Unknown", "detail": "nothing here"})
    head = {"from": "2026-11-28T22:00:00Z", "to": "2026-11-29T22:00:00Z", "interval": "hour"}
    head |= {"attribution": {"window_days": 7.0, "touch": "last"}}
    if request.url.path.endswith("placements"):
        return httpx.Response(200, json={**head, "groups": []})
    counts = ("events", "orders", "units", "revenue", "answers", "impressions", "attributed_revenue")
    rates = ("click_through", "conversion", "fallback_share")
    total = {**dict.fromkeys(counts, 0), **dict.fromkeys(rates, NOTHING), "attributed_share": None}
    fresh = {"newest_event_at": None, "generation": None}
    return httpx.Response(
        200, json={**head, "total": total, "points": [], "coverage": [], "freshness": fresh}
    )


async def test_an_empty_shop_is_told_what_to_do_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async with browser(monkeypatch, VIEWER, analytics) as client:
        page = await client.get("/dashboard/overview", params={"range": "7d"})

    assert page.status_code == 200
    assert "Nothing has happened in the last 7 days." in page.text
    assert "No recommendation was requested in the last 7 days." in page.text
    assert "POST /v1/events" in page.text


async def test_a_page_without_analytics_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with browser(monkeypatch, VIEWER) as client:
        page = await client.get("/dashboard/overview", params={"range": "elsewhen", "figure": "none"})

    assert page.status_code == 200
    assert "analytics does not answer" in page.text
