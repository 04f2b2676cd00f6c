"""The figures of the overview: ranges, series of charts, rows of groups, quantiles of durations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from services.dashboard.domain.formats import instant

if TYPE_CHECKING:
    from services.dashboard.domain.exposition import Samples

Row = Mapping[str, Any]
Series = list[dict[str, Any]]

MOST_SERIES: Final = 6
"""Series of a chart, as many as there are colours."""


@dataclass(frozen=True, slots=True)
class Range:
    """A range of time that ends now, and the length of its intervals."""

    name: str
    title: str
    span: timedelta
    interval: Literal["hour", "day"]

    @property
    def step(self) -> timedelta:
        """Return the length of an interval."""
        return timedelta(hours=1) if self.interval == "hour" else timedelta(days=1)

    def begin(self, now: datetime) -> datetime:
        """Return a time in the first interval; the last one is that of `now`."""
        return now - self.span + self.step


RANGES: Final = {
    each.name: each
    for each in (
        Range("24h", "24 hours", timedelta(hours=24), "hour"),
        Range("7d", "7 days", timedelta(days=7), "hour"),
        Range("30d", "30 days", timedelta(days=30), "day"),
        Range("90d", "90 days", timedelta(days=90), "day"),
    )
}


class Figure(NamedTuple):
    """A figure that charts show by group. `unit` is `%` for a rate."""

    name: str
    title: str
    unit: Literal["", "%"]

    def of(self, row: Row) -> float | None:
        """Return the figure of a row; None for a rate without observations."""
        value = row[self.name]
        return value["value"] if self.unit == "%" else float(value)


FIGURES: Final = {
    each.name: each
    for each in (
        Figure("click_through", "Click-through", "%"),
        Figure("conversion", "Conversion", "%"),
        Figure("revenue", "Revenue", ""),
        Figure("answers", "Answers", ""),
        Figure("fallback_share", "Fallback share", "%"),
    )
}

_SURFACES: Final = {"rest": "REST", "runtime": "Personalize runtime", "graphql": "GraphQL"}


def group_name(group: Row) -> str:
    """Return the name of a group of placements or of strategies."""
    if group.get("strategy"):
        return str(group["strategy"])
    if group.get("placement"):
        return str(group["placement"])
    surface = group.get("surface")
    return "no strategy" if surface is None else _SURFACES.get(str(surface), str(surface))


def times(begin: str, end: str, step: timedelta) -> list[int]:
    """Return the beginnings of intervals from `begin` to `end`, in seconds since 1970."""
    first, last = instant(begin), instant(end)
    if first is None or last is None:
        return []
    return list(range(int(first.timestamp()), int(last.timestamp()), int(step.total_seconds())))


def group_series(groups: Sequence[Row], at: Sequence[int], figure: Figure) -> Series:
    """Return a figure of the first groups at each time; without answers a count is 0 and a rate None."""
    nothing = None if figure.unit == "%" else 0.0
    series: Series = []
    for group in groups[:MOST_SERIES]:
        values = {_seconds(point["at"]): figure.of(point) for point in group["points"]}
        series.append({"name": group_name(group), "values": [values.get(time, nothing) for time in at]})
    return series


def activity_series(points: Iterable[Row], names: Mapping[str, str]) -> Series:
    """Return series of the shop's activity; `names` are members of a point with their titles."""
    rows = list(points)
    return [{"name": title, "values": [row[name] for row in rows]} for name, title in names.items()]


def coverage_series(days: Iterable[Row]) -> tuple[list[int], Series]:
    """Return the days in seconds since 1970, and the shares of visitors and of items with an answer."""
    rows = list(days)
    series = [
        {"name": "visitors", "values": [row["visitors_share"]["value"] for row in rows]},
        {"name": "items", "values": [row["items_share"] for row in rows]},
    ]
    return [_seconds(row["day"]) for row in rows], series


def quantile(samples: Samples, metric: str, share: float) -> float | None:
    """Return a quantile of a histogram as an upper bound, interpolated within its bucket; None if empty.

    As Prometheus's histogram_quantile: a value beyond the last bucket counts as the bucket's bound.
    """
    counts: dict[float, float] = {0.0: 0.0}
    for sample in samples.of(f"{metric}_bucket"):
        bound = float(sample.labels.get("le", "inf"))
        counts[bound] = counts.get(bound, 0.0) + sample.value
    bounds = sorted(counts)
    total = counts[bounds[-1]]
    if not total:
        return None
    rank = share * total
    for low, high in pairwise(bounds):
        if counts[high] >= rank:
            if high == float("inf"):
                return low
            inside = counts[high] - counts[low]
            return low + (high - low) * (rank - counts[low]) / inside if inside else high
    return None


def _seconds(value: str) -> int:
    at = instant(value)
    return 0 if at is None else int(at.timestamp())
