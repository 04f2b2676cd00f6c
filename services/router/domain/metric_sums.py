"""Sums of metrics over people, which the statistics take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

Sums = tuple[float, float, float, float, float]
"""Σy, Σy², Σx, Σx², Σxy over people; those without an event add nothing."""


class PeriodSums(NamedTuple):
    """A period of a bandit: its weights as shares, and n, Σy and Σy² of the people of each variant."""

    version: int
    began_at: datetime
    weights: Mapping[str, float]
    sums: Mapping[str, tuple[float, float, float]]


class People(NamedTuple):
    """The people of a variant: those who count, and those who were left out or joined."""

    units: int = 0
    crossed: int = 0
    merged: int = 0
    bots: int = 0


class MetricSums(NamedTuple):
    """The sums of a phase. `sums` is by the position of the metric and by variant."""

    versions: Sequence[int]
    began_at: datetime | None
    people: Mapping[str, People]
    sums: Mapping[tuple[int, str], Sums]


Credits = tuple[Mapping[str, float], int]
"""Credit by variant, and the number of people who have exactly these credits."""


class InterleavedSums(NamedTuple):
    """The credits of a phase, by the position of the metric. `people` got an answer; `bots` do not count."""

    versions: Sequence[int]
    began_at: datetime | None
    people: int
    bots: int
    credited: Mapping[int, Sequence[Credits]]


class WindowSums(NamedTuple):
    """Windows of a switchback: variant and people by window; amounts by metric, side (y, x) and window."""

    versions: Sequence[int]
    began_at: datetime | None
    people: Mapping[int, tuple[str, float]]
    amounts: Mapping[tuple[int, str, int], float]
