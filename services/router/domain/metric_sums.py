"""Sums of metrics over people, which the statistics take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, Self

Sums = tuple[float, float, float, float, float]
"""Σy, Σy², Σx, Σx², Σxy over people; those without an event add nothing."""

NOTHING: Sums = (0.0, 0.0, 0.0, 0.0, 0.0)

GroupKind = Literal["day", "device"]


class PeriodSums(NamedTuple):
    """A period of a bandit: its weights as shares, and n, Σy and Σy² of the people of each variant.

    `exposed` are people of each variant, whether or not their time for a reward is over; `disabled` variants
    had not been exposed for the whole period.
    """

    version: int
    began_at: datetime
    weights: Mapping[str, float]
    sums: Mapping[str, tuple[float, float, float]]
    exposed: Mapping[str, int] = {}
    disabled: Sequence[str] = ()


class People(NamedTuple):
    """The people of a variant: those who count, and those who were left out or joined."""

    units: int = 0
    crossed: int = 0
    merged: int = 0
    bots: int = 0


class GroupCount(NamedTuple):
    """People of a variant with something in common, such as the day of their first exposure."""

    kind: GroupKind
    value: str
    variant: str
    units: int


class AnswerCounts(NamedTuple):
    """The first answers to the units of a variant, with the median and the 95th percentile of their times."""

    variant: str
    answers: int
    fallbacks: int
    milliseconds: float
    milliseconds_95: float


class EventCounts(NamedTuple):
    """Events of the metrics' types by people of a variant, and those that name an answer."""

    variant: str
    events: int
    of_answers: int


class Bucket(NamedTuple):
    """People of the control whose hash has one of 256 values; `sums` is by the position of the metric."""

    units: int
    sums: Mapping[int, Sums]


class MetricSums(NamedTuple):
    """The sums of a phase. `sums` is by the position of the metric and by variant."""

    versions: Sequence[int]
    began_at: datetime | None
    people: Mapping[str, People]
    sums: Mapping[tuple[int, str], Sums]
    groups: Sequence[GroupCount] = ()
    buckets: Sequence[Bucket] = ()
    """The control in parts, for comparisons of one part with another; empty for stored sums."""
    aa_rates: Sequence[float | None] = ()
    """False-positive rates of these comparisons, by the position of the metric, of stored sums."""
    answers: Sequence[AnswerCounts] = ()
    events: Sequence[EventCounts] = ()

    def document(self, aa_rates: Sequence[float | None]) -> dict[str, Any]:
        """Return what is stored: all but the buckets, in whose place are the rates."""
        return {
            "versions": list(self.versions),
            "began_at": None if self.began_at is None else self.began_at.isoformat(),
            "people": {variant: list(counts) for variant, counts in self.people.items()},
            "sums": [[*key, *values] for key, values in self.sums.items()],
            "groups": [list(group) for group in self.groups],
            "aa_rates": list(aa_rates),
            "answers": [list(each) for each in self.answers],
            "events": [list(each) for each in self.events],
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the sums of a stored document."""
        began_at = document["began_at"]
        return cls(
            document["versions"],
            None if began_at is None else datetime.fromisoformat(began_at),
            {variant: People(*counts) for variant, counts in document["people"].items()},
            {(row[0], row[1]): (row[2], row[3], row[4], row[5], row[6]) for row in document["sums"]},
            [GroupCount(*row) for row in document["groups"]],
            aa_rates=document["aa_rates"],
            answers=[AnswerCounts(*row) for row in document.get("answers", ())],
            events=[EventCounts(*row) for row in document.get("events", ())],
        )


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
