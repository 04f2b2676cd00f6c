"""The four collaborative reports against a count row by row, on made-up orders and on Online Retail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from services.analytics.domain.order_lines import OrderLines
from services.analytics.domain.report_set import Reports, main_categories, reports_of, without_customers
from tests.unit.analytics import plain_reports as plain
from tests.unit.analytics.order_rows import NOW, ONLINE_RETAIL, bought, lines_of, made_up_rows, online_retail

Rows = list[Mapping[str, Any]]
LIMIT = 200
TODAY = NOW.date()


class Shop(NamedTuple):
    """Bought rows, their baskets, and the reports of the service."""

    rows: Rows
    baskets: plain.Baskets
    reports: Reports


needs_data = pytest.mark.skipif(
    not ONLINE_RETAIL.exists(), reason=f"the data set Online Retail is not at {ONLINE_RETAIL}"
)


@pytest.fixture(scope="module", params=["made up", pytest.param("online retail", marks=needs_data)])
def shop(request: pytest.FixtureRequest) -> Shop:
    rows: Rows = made_up_rows() if request.param == "made up" else online_retail()
    lines: OrderLines = lines_of(rows)
    assert len(lines) == len(rows)
    purchases = sorted(bought(rows), key=lambda row: row["ordered_at"])
    return Shop(purchases, plain.Baskets.of(purchases), reports_of(lines, TODAY))


def assert_like(row: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Amounts are rounded to hundredths, ratios to six decimals."""
    for name, value in expected.items():
        rounding = 0.006 if "revenue" in name else 1e-6
        assert row[name] == (value if isinstance(value, str) else pytest.approx(value, abs=rounding)), name


def test_pairs(shop: Shop) -> None:
    rows, baskets, reports = shop
    report = reports["collaborative-pairs"]

    expected = plain.pairs(rows, baskets, LIMIT)

    assert len(expected) == min(LIMIT, report.total)
    for row, other in zip(report.rows, expected, strict=False):
        assert_like(row, other)
        assert (row["confidence_score"], row["confidence"] >= row["reverse_confidence"]) == (
            row["confidence"],
            True,
        )
    assert report.total == len(baskets.pairs)
    assert report.summary["orders"] == len({row["order_id"] for row in rows})


def test_products(shop: Shop) -> None:
    rows, baskets, reports = shop
    report = reports["collaborative-products"]

    expected = plain.products(rows, baskets)

    assert report.total == len(expected)
    for row in report.rows:
        assert_like(row, expected[row["product_id"]])
    counts = [row["recommendation_count"] for row in report.rows]
    assert counts == sorted((each["recommendation_count"] for each in expected.values()), reverse=True)[:500]


def test_customers(shop: Shop) -> None:
    rows, reports = shop.rows, shop.reports
    report = reports["customer-similarity"]

    expected = plain.customers(rows)

    assert report.total == len(expected)
    for row in report.rows:
        figures = expected[row["customer_id"]]
        assert [shared["shared_count"] for shared in row["top_shared_products"]] == figures["shared"]
        assert row["avg_similarity_score"] == pytest.approx(figures["avg_similarity_score"], abs=1e-6)
        for name in ("similar_customers_count", "actual_recommendations"):
            assert row[name] == figures[name], row
    pairs = sum(each["similar_customers_count"] for each in expected.values()) // 2
    assert reports["collaborative-metrics"].summary["active_customer_pairs"] == pairs


def test_metrics(shop: Shop) -> None:
    rows, baskets, reports = shop
    summary = reports["collaborative-metrics"].summary

    figures = plain.products(rows, baskets)
    evaluated, hits = plain.hit_rate(rows, baskets)

    assert evaluated > 10
    assert summary["evaluated_customers"] == evaluated
    assert summary["algorithm_accuracy"] == pytest.approx(hits / evaluated, abs=1e-6)
    assert summary["total_recommendations"] == 2 * len(baskets.pairs)
    assert summary["avg_similarity_score"] == pytest.approx(
        sum(map(baskets.cosine, baskets.pairs)) / len(baskets.pairs), abs=1e-6
    )
    assert summary["total_users"] == len({row["user_id"] for row in rows} - {None})
    assert summary["coverage"] == pytest.approx(
        sum(each["recommendation_count"] > 0 for each in figures.values()) / len(figures), abs=1e-6
    )


def test_the_graph_has_edges_above_chance_and_their_products(shop: Shop) -> None:
    baskets, report = shop.baskets, shop.reports["co-purchase-graph"]

    orders = {item: len(each) for item, each in baskets.orders.items()}
    lifts = {
        pair: count * len(baskets.products) / (orders[pair[0]] * orders[pair[1]])
        for pair, count in baskets.pairs.items()
    }

    assert report.total == sum(lift > 1 for lift in lifts.values())
    assert 0 < len(report.rows) <= 150
    for edge in report.rows:
        pair = (edge["source"], edge["target"])
        pair = pair if pair in lifts else pair[::-1]
        assert (edge["weight"], edge["lift"]) == (baskets.pairs[pair], pytest.approx(lifts[pair], abs=1e-6))
    ends = {edge[end] for edge in report.rows for end in ("source", "target")}
    assert {node["id"]: node["order_count"] for node in report.summary["nodes"]} == {
        item: orders[item] for item in ends
    }


def test_reports_without_customers_who_were_erased() -> None:
    reports = reports_of(lines_of(made_up_rows()), TODAY)
    first = reports["customer-similarity"].rows[0]["customer_id"]

    kept = without_customers(reports, {first})

    ids = {row["customer_id"] for row in kept["customer-similarity"].rows}
    assert ids == {row["customer_id"] for row in reports["customer-similarity"].rows} - {first}
    assert kept["collaborative-pairs"] == reports["collaborative-pairs"]


def test_orders_of_customers_who_were_erased_are_those_of_guests() -> None:
    rows = made_up_rows()
    user = next(row["user_id"] for row in rows if row["user_id"])
    times = sorted(row["ordered_at"] for row in rows if row["user_id"] == user)

    all_erased = lines_of(rows, {user: times[-1]})
    some_erased = lines_of(rows, {user: times[0]})

    assert user not in all_erased.directory.customers.codes
    assert user not in all_erased.directory.described_customers
    code = some_erased.directory.customers.codes[user]
    assert (some_erased.customers == code).sum() == sum(at > times[0] for at in times)


def test_no_orders_have_no_reports() -> None:
    assert reports_of(lines_of([]), TODAY) == {}
    only = lines_of([{"order_id": "o1", "item_id": "i1", "is_bought": False}])
    assert "collaborative-pairs" not in reports_of(only, TODAY)


def test_the_main_categories_are_those_with_the_most_revenue() -> None:
    rows = [
        {"order_id": "o1", "item_id": "a", "category": "small", "price": 1.0},
        {"order_id": "o1", "item_id": "b", "category": "large", "price": 9.0},
        {"order_id": "o1", "item_id": "c"},
    ]

    assert main_categories(lines_of(rows)) == ["large", "small"]
