"""The query for customers with the same items, as analytics checks and runs it."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from services.analytics.domain.sql import checked
from services.dashboard.store.event_lake import similar_customers, similar_customers_query

ROWS = [
    ("ann", "a"), ("ann", "b"), ("ann", "b"), ("ann", None),
    ("bob", "a"), ("bob", "b"),
    ("cid", "a"), ("cid", "c"), ("cid", "d"), ("cid", "e"),
    ("dan", "e"),
    (None, "a"),
    ("o'x", "c"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("user_id", "expected"),
    [
        ("ann", [("bob", 2, 2, 1.0), ("cid", 1, 4, 0.354)]),
        ("o'x", [("cid", 1, 4, 0.5)]),
        ("' OR user_id IS NOT NULL --", []),
    ],
)
def test_customers_are_near_by_the_cosine_of_their_items(
    user_id: str, expected: list[tuple[str, int, int, float]]
) -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE interactions (user_id text, item_id text, dt text)")
        connection.executemany("INSERT INTO interactions VALUES (?, ?, '2026-11-29')", ROWS)
        connection.execute("INSERT INTO interactions VALUES ('eve', 'a', '2020-01-01')")
        sql = checked(similar_customers_query(user_id, date(2026, 11, 30)), "trino")
        rows = connection.execute(sql.text).fetchall()

    customers = [
        (row.user_id, row.shared, row.items, round(row.cosine, 3)) for row in similar_customers(rows)
    ]
    assert customers == expected
