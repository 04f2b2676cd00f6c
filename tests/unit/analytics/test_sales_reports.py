"""Sales, order statuses, customer classes and cohorts against a count row by row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.analytics.domain.customer_classes import CLASSES, class_of
from services.analytics.domain.order_outcomes import outcome_of
from services.analytics.domain.order_statuses import of_source
from services.analytics.domain.report_set import ReportRules, reports_of
from services.analytics.domain.selections import PERIODS, Selection, Thresholds, usual_selections
from tests.unit.analytics.order_rows import NOW, bought, lines_of, made_up_rows

ROWS = made_up_rows()
BOUGHT = bought(ROWS)
TODAY = NOW.date()
RULES = ReportRules(spent=(400.0, 200.0, 100.0, 50.0), regions={"punjab": "North"})
REPORTS = reports_of(lines_of(ROWS), TODAY, Thresholds(champion_m=100, loyal_m=50), RULES)

Rows = list[Mapping[str, Any]]


def groups(key: Callable[[Mapping[str, Any]], Any]) -> dict[Any, Rows]:
    listed: dict[Any, Rows] = defaultdict(list)
    for row in BOUGHT:
        listed[key(row)].append(row)
    return listed


def revenue(rows: Rows) -> float:
    return sum(row["quantity"] * row["price"] for row in rows)


def assert_sums(row: Mapping[str, Any], rows: Rows) -> None:
    orders = {each["order_id"] for each in rows}
    assert row["total_orders"] == len(orders)
    assert row["unique_customers"] == len({each["user_id"] for each in rows} - {None})
    assert row["total_revenue"] == pytest.approx(revenue(rows), abs=0.006)
    assert row["avg_order_value"] == pytest.approx(revenue(rows) / len(orders), abs=0.006)
    assert row["total_quantity_sold"] == sum(each["quantity"] for each in rows)


@pytest.mark.parametrize(
    ("report", "name", "key"),
    [
        ("products", lambda row: row["product_id"], lambda row: row["item_id"]),
        ("popular", lambda row: row["product_id"], lambda row: row["item_id"]),
        ("categories", lambda row: row["category"], lambda row: row["category"]),
        ("provinces", lambda row: row["province"], lambda row: row["province"] or "Unknown"),
        ("brands", lambda row: row["brand_name"], lambda _: "Unknown"),
        ("sources", lambda row: row["order_type"], lambda row: row["channel"]),
        ("trend:monthly", lambda row: row["period"][:7], lambda row: f"{row['ordered_at']:%Y-%m}"),
        ("trend:daily", lambda row: row["period"], lambda row: f"{row['ordered_at']:%Y-%m-%d}"),
        ("trend:hourly", lambda row: row["period"][:13], lambda row: f"{row['ordered_at']:%Y-%m-%dT%H}"),
        (
            "trend:weekly",
            lambda row: date.fromisoformat(row["period"]).isocalendar()[:2],
            lambda row: row["ordered_at"].date().isocalendar()[:2],
        ),
        (
            "category-provinces",
            lambda row: (row["province"], row["category"]),
            lambda row: (row["province"] or "Unknown", row["category"]),
        ),
    ],
)
def test_sales(report: str, name: Callable[..., Any], key: Callable[..., Any]) -> None:
    listed = groups(key)
    rows = {name(row): row for row in REPORTS[report].rows}

    assert len(rows) == len(REPORTS[report].rows)
    for group, row in rows.items():
        if row["total_orders"]:
            assert_sums(row, listed.pop(group))
        else:
            assert group not in listed
    if not report.startswith("trend"):
        assert not listed


def test_cities_have_provinces_and_regions() -> None:
    rows = REPORTS["cities"].rows

    assert {(row["city"], row["province"], row["region"]) for row in rows} == {
        ("Lahore", "Punjab", "North"),
        ("Karachi", "Sindh", "Unknown"),
    }
    for row in rows:
        assert_sums(row, groups(lambda each: each["city"])[row["city"]])
    assert {row["province"]: row["cities_covered"] for row in REPORTS["provinces"].rows} == {
        "Punjab": 1, "Sindh": 1, "Unknown": 0,
    }  # fmt: skip


def test_trends_are_in_the_order_of_time_with_the_intervals_between() -> None:
    rows = REPORTS["trend:monthly"].rows

    assert [row["period"] for row in rows] == sorted(row["period"] for row in rows)
    assert 24 <= len(rows) <= 25
    assert max(row["percentage"] for row in rows) == 100
    assert {row["label"] for row in rows} >= {"Jan", "Dec"}
    assert len(REPORTS["trend:daily"].rows) == 500 < REPORTS["trend:daily"].total


def test_totals_and_new_customers() -> None:
    summary = REPORTS["totals"].summary
    lines = lines_of(ROWS)
    year = lines.only(lines.mask_of(Selection("1year"), TODAY))
    of_year = reports_of(year, TODAY)["totals"].summary

    assert_sums(summary, BOUGHT)
    assert summary["top_selling_product"] == REPORTS["products"].rows[0]["product_name"]
    assert (summary["new_customers"], summary["returning_customers"]) == (summary["total_customers"], 0)
    first: dict[str, datetime] = {}
    for row in sorted(BOUGHT, key=lambda row: row["ordered_at"]):
        if row["user_id"]:
            first.setdefault(row["user_id"], row["ordered_at"])
    since = datetime.combine(TODAY - timedelta(days=365), datetime.min.time(), UTC)
    assert of_year["new_customers"] == sum(at >= since for at in first.values())


def test_statuses_count_orders_that_are_not_bought_as_well() -> None:
    for source in ("oe", "pos"):
        answer = of_source(list(REPORTS["statuses"].rows), source)
        rows = [row for row in ROWS if row["channel"] == source]
        assert answer["total_orders"] == len({row["order_id"] for row in rows})
        assert answer["total_revenue"] == pytest.approx(revenue(rows), abs=0.05)
        assert {row["status"]: row["category"] for row in answer["statuses"]} == {
            "delivered": "fulfilled", "cancelled": "lost", "pending": "pipeline",
        }  # fmt: skip
    assert outcome_of("Something new") == "other"


def test_classes_of_customers() -> None:
    by_user = groups(lambda row: row["user_id"])
    by_user.pop(None)
    rows = {row["customer_id"]: row for row in REPORTS["customers"].rows}

    assert rows.keys() == by_user.keys()
    for user, lines in by_user.items():
        row, orders = rows[user], len({each["order_id"] for each in lines})
        days = (TODAY - max(each["ordered_at"] for each in lines).date()).days
        assert (row["total_orders"], row["days_since_last_order"]) == (orders, days)
        assert row["total_spent"] == pytest.approx(revenue(lines), abs=0.006)
        expected = {
            "recency": 5 - sum(days > limit for limit in (30, 60, 90, 180)),
            "frequency": 1 + sum(orders >= limit for limit in (2, 5, 10, 20)),
            "monetary": 1 + sum(revenue(lines) >= limit for limit in RULES.spent),
        }
        assert row["rfm_score"] == expected
        recency, frequency, value = expected.values()
        assert row["segment"] == class_of(recency, frequency, value, orders)
        assert row["customer_phone"] == user.partition("_")[0]
    segments = {row["segment_name"]: row for row in REPORTS["segments"].rows}
    assert sum(row["customer_count"] for row in segments.values()) == len(by_user)
    assert sum(row["percentage"] for row in segments.values()) == pytest.approx(100, abs=0.01)
    for name in CLASSES:
        mine = [row for row in REPORTS["customers"].rows if row["segment"] == name]
        assert REPORTS[f"segment:{name}"].rows == mine[:100]
        assert segments.get(name, {"customer_count": 0})["customer_count"] == len(mine)


@pytest.mark.parametrize(
    ("scores", "orders", "expected"),
    [
        ((5, 5, 5), 30, "Champions"),
        ((5, 5, 3), 30, "Loyal Customers"),
        ((3, 3, 1), 5, "Loyal Customers"),
        ((5, 1, 1), 1, "New Customers"),
        ((4, 2, 5), 3, "Potential Loyalists"),
        ((2, 4, 4), 12, "Cannot Lose Them"),
        ((1, 3, 1), 6, "At Risk"),
        ((3, 1, 1), 1, "Need Attention"),
        ((2, 2, 1), 2, "Hibernating"),
        ((1, 1, 1), 1, "Lost"),
    ],
)
def test_the_class_of_scores(scores: tuple[int, int, int], orders: int, expected: str) -> None:
    assert class_of(*scores, orders) == expected


def test_classes_by_limits_of_a_caller() -> None:
    report = REPORTS["segments-custom"]
    customers = REPORTS["customers"].rows

    counts = {row["segment_name"]: row["customer_count"] for row in report.rows}
    assert sum(counts.values()) == report.summary["total_customers"] == len(customers)
    assert counts["Champions"] == sum(
        row["days_since_last_order"] <= 30 and row["total_orders"] >= 5 and row["total_spent"] >= 100
        for row in customers
    )
    assert counts["Lost"] == sum(row["days_since_last_order"] > 365 for row in customers)


def test_cohorts() -> None:
    first: dict[str, str] = {}
    months = defaultdict(set)
    for row in sorted(BOUGHT, key=lambda row: row["ordered_at"]):
        if row["user_id"]:
            month = f"{row['ordered_at']:%Y-%m}"
            first.setdefault(row["user_id"], month)
            months[row["user_id"]].add(month)
    newest = max(max(each) for each in months.values())

    for row in REPORTS["cohorts"].rows:
        users = [user for user, month in first.items() if month == row["cohort"]]
        year, month = map(int, row["cohort"].split("-"))
        names = []
        while (name := f"{year:04}-{month:02}") <= newest:
            names.append(name)
            year, month = (year + 1, 1) if month == 12 else (year, month + 1)
        assert row["customers"] == len(users)
        assert row["active"] == [sum(name in months[user] for user in users) for name in names]
        assert row["retention"][0] == 1
    assert sum(row["customers"] for row in REPORTS["cohorts"].rows) == len(first)


def test_selections_are_read_from_their_keys() -> None:
    chosen = Selection.of("mtd", "Beds, pillows,", "PUNJAB", None, "POS", Thresholds(lost_r=400))

    assert Selection.parsed(chosen.key) == chosen
    assert chosen.categories == ("beds", "pillows")
    assert Selection().key == Selection.of("custom", "all", "", None, "all").key == "{}"
    assert Selection("mtd").days(date(2026, 11, 30)) == (date(2026, 11, 1), None)
    assert Selection.of("2026-01-01:2026-01-31").days(TODAY) == (date(2026, 1, 1), date(2026, 1, 31))
    assert len({each.key for each in usual_selections(["a", "b"])}) == len(PERIODS) * 7


def test_the_lines_of_a_selection() -> None:
    lines = lines_of(ROWS)

    for selection, chosen in (
        (Selection("30days"), lambda row: row["ordered_at"].date() >= TODAY - timedelta(days=30)),
        (Selection(delivered_only=True), lambda row: row["status"] == "delivered"),
        (Selection(source="pos"), lambda row: row["channel"] == "pos"),
        (Selection.of(None, "C1,c2"), lambda row: row["category"] in {"c1", "c2"}),
        (Selection.of(None, None, "punjab", "LAHORE"), lambda row: row["city"] == "Lahore"),
        (Selection.of("2026-01-01:2026-02-28"), lambda row: row["ordered_at"].strftime("%Y-%m") in MONTHS),
    ):
        assert lines.mask_of(selection, TODAY).sum() == sum(map(chosen, ROWS)) > 0


MONTHS = ("2026-01", "2026-02")
