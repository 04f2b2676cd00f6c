"""Customers who are near to another one: the query of the event lake, and its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

DAYS: Final = 365
"""Days of the lake that are read; arbitrary."""
LIMIT: Final = 10

_QUERY: Final = """
WITH own AS (
    SELECT DISTINCT item_id FROM interactions
    WHERE user_id = {user} AND item_id IS NOT NULL AND dt >= {since}
), sharing AS (
    SELECT user_id, count(DISTINCT item_id) AS shared FROM interactions
    WHERE item_id IN (SELECT item_id FROM own) AND user_id IS NOT NULL AND user_id <> {user} AND dt >= {since}
    GROUP BY user_id ORDER BY shared DESC, user_id LIMIT 1000
), sizes AS (
    SELECT user_id, count(DISTINCT item_id) AS items FROM interactions
    WHERE user_id IN (SELECT user_id FROM sharing) AND dt >= {since} GROUP BY user_id
)
SELECT user_id, shared, items, shared / sqrt(CAST(items AS double) * (SELECT count(*) FROM own)) AS cosine
FROM sharing JOIN sizes USING (user_id)
ORDER BY cosine DESC, user_id LIMIT {limit}
"""


class SimilarCustomer(NamedTuple):
    """A customer with items of another one: how many they share, have in all, and the cosine of both sets."""

    user_id: str
    shared: int
    items: int
    cosine: float


def query(user_id: str, today: date) -> str:
    """Return the query for the customers with the most similar items, in Trino's dialect."""
    return _QUERY.format(
        user=_literal(user_id), since=_literal((today - timedelta(days=DAYS)).isoformat()), limit=LIMIT
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def similar_customers(rows: Iterable[Sequence[Any]]) -> list[SimilarCustomer]:
    """Return the rows of the query's result."""
    return [SimilarCustomer(str(row[0]), int(row[1]), int(row[2]), float(row[3])) for row in rows]
