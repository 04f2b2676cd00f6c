"""Sales by hour, day, week and month."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final, Literal

import numpy as np

from services.analytics.domain.order_lines import OrderLines, day_of_number, instant_of
from services.analytics.domain.report_rows import MAX_ROWS, Integers, Report, Row, money, sales_by, share

Interval = Literal["hourly", "daily", "weekly", "monthly"]
INTERVALS: Final[tuple[Interval, ...]] = ("hourly", "daily", "weekly", "monthly")

_HOUR_SECONDS: Final = 3_600
_EPOCH_WEEKDAY: Final = 3
"""1970-01-01 was a Thursday."""


def trend_report(lines: OrderLines, interval: Interval) -> Report:
    """Return the newest intervals with their sales, in the order of time; those without an order included."""
    groups = _intervals(lines, interval)
    sales = sales_by(lines, groups)
    places = {int(group): number for number, group in enumerate(sales.groups)}
    last = int(sales.groups[-1])
    first = max(int(sales.groups[0]), last - MAX_ROWS + 1)
    empty: Row = {name: type(value)() for name, value in sales.row(0).items()}
    most = float(sales.revenue.max())
    rows = []
    for group in range(first, last + 1):
        figures = sales.row(places[group]) if group in places else empty
        period, label = _named(group, interval)
        percentage = round(100 * share(figures["total_revenue"], most), 4)
        rows.append({"period": period, "label": label, **figures, "percentage": min(percentage, 100.0)})
    return Report(rows, last - int(sales.groups[0]) + 1, {"max_revenue": money(most)})


def _intervals(lines: OrderLines, interval: Interval) -> Integers:
    """Return the interval of each line, counted from 1970: int64[L]."""
    if interval == "hourly":
        return lines.times // _HOUR_SECONDS
    if interval == "weekly":
        return (lines.days + _EPOCH_WEEKDAY) // 7
    return months_of(lines.days) if interval == "monthly" else lines.days


def months_of(days: Integers) -> Integers:
    """Return the months of days, both counted from 1970: int64[L]."""
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def _named(group: int, interval: Interval) -> tuple[str, str]:
    """Return the beginning of an interval in ISO 8601, and its short name."""
    if interval == "hourly":
        begin = instant_of(group * _HOUR_SECONDS)
        return begin, begin[11:16]
    if interval == "monthly":
        day = date(1970 + group // 12, group % 12 + 1, 1)
        return day.isoformat(), f"{day:%b}"
    if interval == "weekly":
        day = day_of_number(group * 7) - timedelta(days=_EPOCH_WEEKDAY)
        return day.isoformat(), f"W{day.isocalendar().week:02}"
    day = day_of_number(group)
    return day.isoformat(), f"{day:%a}"
