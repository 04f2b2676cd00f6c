"""Customers by recency, frequency and value, and how many of each month's new customers come again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from services.analytics.domain.order_lines import Numbers, OrderLines, day_of_number, instant_of
from services.analytics.domain.report_rows import MAX_ROWS, Integers, Report, Row, distinct_by, money, share
from services.analytics.domain.sales_trends import months_of
from services.analytics.domain.selections import Thresholds

RECENCY_DAYS: Final = (30, 60, 90, 180)
ORDERS: Final = (20, 10, 5, 2)
SPENT: Final = (500_000.0, 200_000.0, 100_000.0, 50_000.0)
"""The limits of the scores 5, 4, 3 and 2, of dashboards of existing shops; what is beyond scores 1."""

CLASSES: Final = (
    "Champions",
    "Loyal Customers",
    "Potential Loyalists",
    "New Customers",
    "At Risk",
    "Cannot Lose Them",
    "Need Attention",
    "Hibernating",
    "Lost",
)
COHORTS: Final = 24
"""Months of the cohort report; arbitrary."""

CLASS_CUSTOMERS: Final = 100
"""Customers that are stored of each class: those who spent most. Arbitrary."""


@dataclass(frozen=True, slots=True)
class Customers:
    """Customers of bought lines: codes, days since the last order, orders, spending, last order.

    All are int64[C] but `spent`, float64[C].
    """

    codes: Integers
    days: Integers
    orders: Integers
    spent: Numbers
    last_times: Integers

    def __len__(self) -> int:
        return len(self.codes)


def customers_of(lines: OrderLines, today: date) -> Customers:
    """Return the customers of lines; days are counted up to a day."""
    known = lines.only(lines.customers >= 0)
    codes, places = np.unique(known.customers, return_inverse=True)
    last = np.zeros(len(codes), np.int64)
    np.maximum.at(last, places, known.times)
    number = (today - day_of_number(0)).days
    return Customers(
        codes.astype(np.int64),
        np.maximum(number - last // 86_400, 0),
        distinct_by(places.astype(np.int64), known.orders, len(codes)),
        np.bincount(places, known.amounts, len(codes)).astype(np.float64),
        last,
    )


def scores(customers: Customers, spent: Sequence[float] = SPENT) -> tuple[Integers, Integers, Integers]:
    """Return the scores 5 to 1 of recency, frequency and value: int64[C] each."""
    recency = 5 - sum((customers.days > limit).astype(np.int64) for limit in RECENCY_DAYS)
    frequency = 1 + sum((customers.orders >= limit).astype(np.int64) for limit in ORDERS)
    value = 1 + sum((customers.spent >= limit).astype(np.int64) for limit in spent)
    return np.asarray(recency), np.asarray(frequency), np.asarray(value)


def class_of(recency: int, frequency: int, value: int, orders: int) -> str:
    """Return the class of a customer's scores: the first rule that holds."""
    is_valuable = frequency >= 4 and value >= 4
    rules = (
        (is_valuable and recency >= 4, "Champions"),
        (is_valuable and recency <= 2, "Cannot Lose Them"),
        (frequency >= 3 and recency >= 3, "Loyal Customers"),
        (frequency >= 3, "At Risk"),
        (recency >= 4 and orders == 1, "New Customers"),
        (recency >= 4, "Potential Loyalists"),
        (recency == 3, "Need Attention"),
        (recency == 2, "Hibernating"),
    )
    return next((name for holds, name in rules if holds), "Lost")


def class_reports(
    lines: OrderLines, customers: Customers, spent: Sequence[float] = SPENT
) -> dict[str, Report]:
    """Return the classes, the customers who spent most, of all and of each class, and those at risk."""
    scored = scores(customers, spent)
    names = np.array(
        [class_of(*map(int, each)) for each in zip(*scored, customers.orders, strict=True)],
        object,
    )
    ids = np.array([lines.directory.customers.texts[code] for code in customers.codes], object)
    order = sorted(range(len(customers)), key=lambda place: (-customers.spent[place], ids[place]))

    def rows_of(chosen: list[int]) -> list[Row]:
        return [_customer(lines, customers, scored, str(names[place]), place) for place in chosen]

    def of(name: str) -> Report:
        chosen = [place for place in order if names[place] == name]
        return Report(rows_of(chosen[:CLASS_CUSTOMERS]), len(chosen), customer_field="customer_id")

    at_risk = [place for place in order if names[place] in {"At Risk", "Cannot Lose Them"}]
    return {
        "segments": Report(
            [row for name in CLASSES if (row := _class(customers, names == name, name))["customer_count"]],
            len(set(names)),
            {"total_customers": len(customers)},
        ),
        "customers": Report(rows_of(order[:MAX_ROWS]), len(order), customer_field="customer_id"),
        "at-risk": Report(rows_of(at_risk[:CLASS_CUSTOMERS]), len(at_risk), customer_field="customer_id"),
        **{f"segment:{name}": of(name) for name in CLASSES},
    }


def _class(customers: Customers, mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], name: str) -> Row:
    count, revenue = int(mask.sum()), float(customers.spent[mask].sum())
    orders, days = int(customers.orders[mask].sum()), int(customers.days[mask].sum())
    mean_days = round(days / count, 2) if count else 0.0
    return {
        "segment_name": name,
        "customer_count": count,
        "total_revenue": money(revenue),
        "avg_order_value": money(revenue / orders) if orders else 0.0,
        "avg_customer_value": money(revenue / count) if count else 0.0,
        "avg_orders_per_customer": round(orders / count, 4) if count else 0.0,
        "avg_days_since_last_order": mean_days,
        "avg_recency_days": mean_days,
        "percentage": round(100 * share(count, len(customers)), 4),
    }


def _customer(
    lines: OrderLines,
    customers: Customers,
    scored: tuple[Integers, Integers, Integers],
    name: str,
    place: int,
) -> Row:
    user_id, known = lines.directory.customer(int(customers.codes[place]))
    orders, spent = int(customers.orders[place]), money(float(customers.spent[place]))
    recency, frequency, value = (int(each[place]) for each in scored)
    return {
        "customer_id": user_id,
        "customer_name": known.name or user_id,
        "customer_phone": known.phone,
        "customer_city": known.city,
        "city": known.city,
        "province": known.province,
        "segment": name,
        "total_orders": orders,
        "order_count": orders,
        "total_spent": spent,
        "last_order_date": instant_of(int(customers.last_times[place])),
        "days_since_last_order": int(customers.days[place]),
        "days_since_purchase": int(customers.days[place]),
        "rfm_score": {"recency": recency, "frequency": frequency, "monetary": value},
    }


def custom_classes_report(customers: Customers, limits: Thresholds) -> Report:
    """Return how many customers are in each class by limits of a caller: the first rule that holds."""
    days, orders, spent = customers.days, customers.orders, customers.spent
    rules = (
        (
            "Champions",
            (days <= limits.champion_r) & (orders >= limits.champion_f) & (spent >= limits.champion_m),
        ),
        (
            "Loyal Customers",
            (days <= limits.loyal_r) & (orders >= limits.loyal_f) & (spent >= limits.loyal_m),
        ),
        ("Lost", days > limits.lost_r),
        ("Hibernating", days > limits.hibernating_r),
        (
            "At Risk",
            (days >= limits.at_risk_r_min) & (days <= limits.at_risk_r_max) & (orders >= limits.at_risk_f),
        ),
        ("New Customers", (days <= limits.champion_r) & (orders == 1)),
        ("Potential Loyalists", days <= limits.loyal_r),
        ("Need Attention", np.ones(len(customers), bool)),
    )
    free = np.ones(len(customers), bool)
    rows: list[Row] = []
    for name, mask in rules:
        count = int((mask & free).sum())
        free &= ~mask
        percentage = round(100 * share(count, len(customers)), 4)
        rows.append({"segment_name": name, "customer_count": count, "percentage": percentage})
    return Report(rows, len(rows), {"total_customers": len(customers)})


def cohorts_report(lines: OrderLines) -> Report:
    """Return months of first orders, and the share of their customers with an order in each later month.

    The first order is that of all orders of the shop. The newest month is the last one.
    """
    known = lines.only(lines.customers >= 0)
    if not len(known):
        return Report()
    first = months_of(lines.directory.first_order_times // 86_400)[known.customers]
    months = months_of(known.days)
    newest = int(months.max())
    rows: list[Row] = []
    for cohort in np.unique(first).tolist()[-COHORTS:]:
        mine = first == cohort
        offsets, customers = months[mine] - cohort, known.customers[mine]
        size = len(np.unique(customers))
        active = distinct_by(offsets, customers, newest - cohort + 1)
        rows.append(
            {
                "cohort": f"{1970 + cohort // 12:04}-{cohort % 12 + 1:02}",
                "customers": size,
                "active": active.tolist(),
                "retention": [share(int(count), size) for count in active],
            }
        )
    return Report(rows, len(np.unique(first)))
