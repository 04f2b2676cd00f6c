"""Segments of customers by recency, number of orders and spending."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SEPARATORS = re.compile(r"[^a-z]+")


@dataclass(frozen=True, slots=True)
class Segment:
    """The bounds of a segment, each of them included; None for no bound.

    Days are those since the last purchase; spending is in the shop's currency.
    """

    min_days: int | None = None
    max_days: int | None = None
    min_orders: int = 1
    max_orders: int | None = None
    min_spent: float | None = None


SEGMENTS = {
    "champions": Segment(max_days=30, min_orders=5, min_spent=50_000),
    "loyal": Segment(max_days=60, min_orders=3, min_spent=30_000),
    "potential": Segment(max_days=30, min_orders=2),
    "new": Segment(max_days=30, max_orders=1),
    "at_risk": Segment(min_days=91, min_orders=3, min_spent=20_000),
    "hibernating": Segment(min_days=121, max_orders=2),
    "lost": Segment(min_days=181),
}
"""The segments by name."""

_LONG_NAMES = {
    "loyal_customers": "loyal",
    "potential_loyalists": "potential",
    "new_customers": "new",
}


def segment_of(name: str) -> Segment | None:
    """Return the segment of a name, in any spelling such as `At Risk` or `new customers`; None if unknown."""
    key = _SEPARATORS.sub("_", name.lower()).strip("_")
    return SEGMENTS.get(_LONG_NAMES.get(key, key))
