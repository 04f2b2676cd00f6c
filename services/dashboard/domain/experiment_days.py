"""The course of a metric by day, and the sizes of the variants by day and by device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from services.dashboard.domain.experiments import Interval, Row, interval_of


class CourseRow(NamedTuple):
    """A variant against the first one, at the end of a day."""

    day: str
    variant: str
    units: int
    mean: float | None
    lift: Interval | None


class GroupSizes(NamedTuple):
    """The people of the variants, in their order, who were exposed first on a day, or by a device."""

    value: str
    units: list[int]
    p: float | None


def course(series: Row) -> list[CourseRow]:
    """Return the variants but the first by day, newest day first, from the router's series of a metric."""
    return [
        CourseRow(day["day"], each["variant"], each["units"], each["mean"], interval_of(each["relative"]))
        for day in reversed(series.get("days") or [])
        for each in day["variants"][1:]
    ]


def group_sizes(health: Row, kind: str, variants: Sequence[str]) -> list[GroupSizes]:
    """Return the sizes of the variants by a kind of group, newest day first, from the router's results."""
    return [
        GroupSizes(group["value"], [group["units"].get(name, 0) for name in variants], group["p"])
        for group in reversed(health.get("groups") or [])
        if group["kind"] == kind
    ]
