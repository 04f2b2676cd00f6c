"""Questions to the event lake, by the SQL of analytics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

DAYS: Final = 365
"""Days of the lake that are read; arbitrary."""
LIMIT: Final = 10

EXAMPLES: Final[dict[str, str]] = dict(
    re.findall(r"(?m)^-- (.+)\n((?:.+\n)+)", Path(__file__).with_name("query_examples.sql").read_text())
)
"""Queries that people may begin with, by title."""

_SIMILAR_CUSTOMERS: Final = Path(__file__).with_name("similar_customers.sql").read_text()


class SimilarCustomer(NamedTuple):
    """A customer with items of another one: how many they share, have in all, and the cosine of both sets."""

    user_id: str
    shared: int
    items: int
    cosine: float


def similar_customers_query(user_id: str, today: date) -> str:
    """Return the query for the customers with the most similar items, in Trino's dialect."""
    since = (today - timedelta(days=DAYS)).isoformat()
    return _SIMILAR_CUSTOMERS.format(user=_literal(user_id), since=_literal(since), limit=LIMIT)


def similar_customers(rows: Iterable[Sequence[Any]]) -> list[SimilarCustomer]:
    """Return the rows of the query's result."""
    return [SimilarCustomer(str(row[0]), int(row[1]), int(row[2]), float(row[3])) for row in rows]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
