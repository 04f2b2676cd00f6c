"""A computed report, and sums over groups of order lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.analytics.domain.order_lines import Numbers, OrderLines

MAX_ROWS: Final = 500
"""Rows that are stored of a report: the first ones in its order. Arbitrary."""

Row = dict[str, Any]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Report:
    """The first rows of a report in its order, how many rows it has, and figures of all of them.

    `customer_field` is the member of rows by which a customer is named, if rows are of customers.
    """

    rows: Sequence[Row] = ()
    total: int = 0
    summary: Mapping[str, Any] = field(default_factory=dict)
    customer_field: str | None = None


@dataclass(frozen=True, slots=True)
class Sales:
    """Sums by group: int64[G] codes of groups, and their orders, customers, units and revenue.

    Guests' orders count as orders, and not as customers.
    """

    groups: Integers
    orders: Integers
    customers: Integers
    units: Numbers
    revenue: Numbers

    def row(self, number: int) -> Row:
        """Return the figures of a group as shops' dashboards name them."""
        orders, revenue = int(self.orders[number]), float(self.revenue[number])
        return {
            "total_orders": orders,
            "total_revenue": money(revenue),
            "unique_customers": int(self.customers[number]),
            "avg_order_value": money(revenue / orders) if orders else 0.0,
            "total_quantity_sold": round(float(self.units[number]), 6),
        }

    def by_revenue(self, limit: int | None = None) -> list[int]:
        """Return the positions of groups with the most revenue first; ties by code."""
        return [int(number) for number in np.lexsort((self.groups, -self.revenue))[:limit]]


def sales_by(lines: OrderLines, groups: npt.NDArray[np.integer[Any]]) -> Sales:
    """Return the sums of lines by group; lines of group -1 are left out."""
    known = groups >= 0
    lines, kept = lines.only(known), groups[known].astype(np.int64)
    codes, places = np.unique(kept, return_inverse=True)
    is_customer = lines.customers >= 0
    return Sales(
        codes,
        distinct_by(places, lines.orders, len(codes)),
        distinct_by(places[is_customer], lines.customers[is_customer], len(codes)),
        np.bincount(places, lines.units, len(codes)).astype(np.float64),
        np.bincount(places, lines.amounts, len(codes)).astype(np.float64),
    )


def distinct_by(places: Integers, values: npt.NDArray[np.integer[Any]], groups: int) -> Integers:
    """Return how many different values each group has: int64[groups]. `places` are the groups of values."""
    # np.sort takes a quarter of the time of np.unique.
    pairs = np.sort(places.astype(np.int64) << 32 | values.astype(np.int64))
    is_first = np.diff(pairs, prepend=-1) != 0
    return np.bincount(pairs[is_first] >> 32, minlength=groups).astype(np.int64)


def money(amount: float) -> float:
    """Return an amount, rounded to hundredths."""
    return round(float(amount), 2) + 0.0


def share(part: float, whole: float) -> float:
    """Return part / whole, rounded to six decimals; 0 without a whole."""
    return round(float(part / whole), 6) if whole else 0.0
