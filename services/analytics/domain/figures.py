"""Figures of series and of the shop, by hour and day, and how facts change them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

COUNTS: Final = (
    "answers",
    "empty_answers",
    "fallback_answers",
    "items",
    "seen_answers",
    "impressions",
    "clicked_answers",
    "clicks",
    "conversions",
    "purchases",
    "units",
    "revenue",
)
"""The columns of figures."""

FALLBACK_SOURCE: Final = "popular"
"""The source of answers that popular items stood in for."""

_Z: Final = 1.959963984540054
"""The 97.5th percentile of the normal distribution, for intervals of 95 %."""


class Bucket(NamedTuple):
    """The figures of a series in an hour."""

    tenant: str
    hour: datetime
    series_id: int


@dataclass(slots=True)
class Changes:
    """Sums of what a batch of facts adds to figures and measures, by hour."""

    figures: dict[Bucket, dict[str, Decimal]] = field(default_factory=dict)
    measures: dict[tuple[str, datetime, str], Decimal] = field(default_factory=dict)
    days: dict[tuple[str, datetime, str], Decimal] = field(default_factory=dict)
    """Measures of days that are no sums of hours."""

    def add(self, bucket: Bucket, name: str, amount: int | Decimal) -> None:
        """Add to one figure of a series."""
        figures = self.figures.setdefault(bucket, {})
        figures[name] = figures.get(name, Decimal(0)) + amount

    def measure(self, tenant: str, hour: datetime, name: str, amount: int | Decimal) -> None:
        """Add to a measure of the shop."""
        key = (tenant, hour, name)
        self.measures[key] = self.measures.get(key, Decimal(0)) + amount

    def measure_day(self, tenant: str, day: datetime, name: str, amount: int) -> None:
        """Add to a measure that only days have."""
        key = (tenant, day, name)
        self.days[key] = self.days.get(key, Decimal(0)) + amount


def hour_of(time: datetime) -> datetime:
    """Return the beginning of the hour of a time in UTC."""
    return time.replace(minute=0, second=0, microsecond=0)


def day_of(time: datetime) -> datetime:
    """Return the beginning of the day of a time in UTC."""
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def bits_of(positions: Iterable[int]) -> int:
    """Return a number with a bit for each position."""
    bits = 0
    for position in positions:
        bits |= 1 << position
    return bits


def packed(bits: int) -> bytes:
    """Return the bytes of a number, the lowest first; none for 0."""
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def unpacked(data: bytes) -> int:
    """Return the number that `packed` made bytes of."""
    return int.from_bytes(data, "little")


class BitCounts(NamedTuple):
    """Bits set in an answer: of all items, and by series of the items."""

    total: int
    by_series: dict[int, int]


def bit_counts(bits: int, item_series: Sequence[int]) -> BitCounts:
    """Return how many items of an answer have their bit set, in all and by the series of the items."""
    by_series: dict[int, int] = {}
    position = 0
    remaining = bits
    while remaining:
        if remaining & 1:
            series = item_series[position]
            by_series[series] = by_series.get(series, 0) + 1
        remaining >>= 1
        position += 1
    return BitCounts(sum(by_series.values()), by_series)


class Answer(NamedTuple):
    """An answer as it is stored, with its bits as numbers."""

    tenant: str
    recommendation_id: str
    served_at: datetime
    series_id: int
    item_ids: Sequence[str]
    item_series: Sequence[int]
    is_fallback: bool
    source: str
    seen: int = 0
    clicked: int = 0
    converted: int = 0

    def bucket(self, series_id: int) -> Bucket:
        """Return the bucket of the answer's hour and a series."""
        return Bucket(self.tenant, hour_of(self.served_at), series_id)


def add_answer(changes: Changes, answer: Answer) -> None:
    """Add an answer that is counted for the first time, without what was seen of it."""
    every_item = bit_counts((1 << len(answer.item_ids)) - 1, answer.item_series)
    numbers = {answer.series_id: every_item.total, **every_item.by_series}
    for series_id, count in numbers.items():
        bucket = answer.bucket(series_id)
        changes.add(bucket, "answers", 1)
        changes.add(bucket, "items", count)
        if answer.is_fallback:
            changes.add(bucket, "fallback_answers", 1)
    if not answer.item_ids:
        changes.add(answer.bucket(answer.series_id), "empty_answers", 1)
    changes.measure(answer.tenant, hour_of(answer.served_at), f"answers:{answer.source}", 1)


def add_bits(changes: Changes, before: Answer, after: Answer) -> None:
    """Add the difference of two states of an answer's bits."""
    for old, new, items, answers in (
        (before.seen, after.seen, "impressions", "seen_answers"),
        (before.clicked, after.clicked, "clicks", "clicked_answers"),
        (before.converted, after.converted, "conversions", None),
    ):
        if old == new:
            continue
        counts = [bit_counts(bits, after.item_series) for bits in (old, new)]
        by_series = [{after.series_id: each.total, **each.by_series} for each in counts]
        for series_id in by_series[0].keys() | by_series[1].keys():
            was, now = (each.get(series_id, 0) for each in by_series)
            changes.add(after.bucket(series_id), items, now - was)
            if answers is not None:
                changes.add(after.bucket(series_id), answers, (now > 0) - (was > 0))


class Rate(NamedTuple):
    """A proportion with the ends of its 95 % interval; None without observations."""

    value: float | None
    low: float | None
    high: float | None


def wilson(successes: int, observations: int) -> Rate:
    """Return a proportion and its score interval (Wilson, JASA 1927)."""
    if observations <= 0:
        return Rate(None, None, None)
    share = successes / observations
    z2 = _Z * _Z / observations
    middle = (share + z2 / 2) / (1 + z2)
    half = _Z * math.sqrt(share * (1 - share) / observations + z2 / (4 * observations)) / (1 + z2)
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == observations else min(1.0, middle + half)
    return Rate(share, low, high)
