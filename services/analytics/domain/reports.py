"""Periods, groups and totals of reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, Self

from services.analytics.domain.figures import COUNTS, day_of, hour_of

Interval = Literal["hour", "day"]
Grouping = frozenset[str]

GROUPS: Final = ("surface", "placement", "strategy", "variant")
"""The members by which figures can be grouped."""

MAX_POINTS: Final = {"hour": 31 * 24, "day": 800}
"""The most intervals of a report; arbitrary: a month of hours, two years of days."""
DEFAULT_POINTS: Final = {"hour": 24, "day": 30}


@dataclass(frozen=True, slots=True)
class Period:
    """A time range of whole intervals in UTC; `end` is not included."""

    begin: datetime
    end: datetime
    interval: Interval

    @classmethod
    def of(cls, begin: datetime | None, end: datetime | None, interval: Interval, now: datetime) -> Self:
        """Return the whole intervals that contain a range, by default the last 24 hours or 30 days.

        Raises ValueError for a range that is empty or has too many intervals.
        """
        floor = hour_of if interval == "hour" else day_of
        step = timedelta(hours=1) if interval == "hour" else timedelta(days=1)
        last = end or now
        until = floor(last) if floor(last) == last else floor(last) + step
        since = until - DEFAULT_POINTS[interval] * step if begin is None else floor(begin)
        if since >= until:
            message = "`from` must be before `to`"
            raise ValueError(message)
        points = (until - since) // step
        if points > MAX_POINTS[interval]:
            wider = " or send interval=day" if interval == "hour" else ""
            message = (
                f"{points} intervals are more than {MAX_POINTS[interval]}; choose a shorter range{wider}"
            )
            raise ValueError(message)
        return cls(since, until, interval)

    @property
    def times(self) -> list[datetime]:
        """Return the beginnings of all intervals."""
        step = timedelta(hours=1) if self.interval == "hour" else timedelta(days=1)
        return [self.begin + number * step for number in range((self.end - self.begin) // step)]


def grouping_of(text: str) -> Grouping:
    """Return the members of a comma-separated list; raises ValueError for an unknown one."""
    names = frozenset(filter(None, (name.strip() for name in text.split(","))))
    if unknown := sorted(names - set(GROUPS)):
        message = f"`by` can't be {unknown[0]!r}; it lists some of {', '.join(GROUPS)}"
        raise ValueError(message)
    return names


Totals = dict[str, Decimal]


def summed(rows: Iterable[Mapping[str, Any]]) -> Totals:
    """Return the sums of figures."""
    totals = dict.fromkeys(COUNTS, Decimal(0))
    for row in rows:
        for name in COUNTS:
            totals[name] += row[name]
    return totals


def by_group(rows: Iterable[dict[str, Any]]) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """Return rows by the members of `Group`; those with the most answers first."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    names = ("surface", "placement", "strategy", "experiment", "experiment_version", "variant")
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    order = sorted(groups, key=lambda key: (-sum(row["answers"] for row in groups[key]), repr(key)))
    return {key: groups[key] for key in order}


def measures_by_time(rows: Iterable[Mapping[str, Any]]) -> dict[datetime, dict[str, Decimal]]:
    """Return measures by time and name."""
    times: dict[datetime, dict[str, Decimal]] = {}
    for row in rows:
        times.setdefault(row["begins_at"], {})[row["name"]] = row["value"]
    return times


def with_prefix(measures: Mapping[str, Decimal], prefix: str) -> dict[str, int]:
    """Return the measures whose names begin with a prefix, by the rest of their names, the largest first."""
    chosen = {
        name.removeprefix(prefix): int(value) for name, value in measures.items() if name.startswith(prefix)
    }
    return dict(sorted(chosen.items(), key=lambda entry: (-entry[1], entry[0])))
