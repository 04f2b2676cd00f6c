"""Results of queries: as a chart over time, as shares of the largest value, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from services.dashboard.domain.formats import instant
from services.dashboard.domain.overview import MOST_SERIES, Series

Rows = Sequence[Sequence[Any]]
Columns = Sequence[Mapping[str, str]]

MOST_BARS: Final = 100
"""Rows of a result that are drawn as bars, at most; arbitrary."""

_TIMES: Final = ("DATE", "TIMESTAMP")
_DAY: Final = "dt"
"""The column of the event lake that has the day of an event as a text."""


class Chart(NamedTuple):
    """Numbers over time: `times` are seconds since 1970, ascending."""

    times: list[float]
    series: Series


def is_number(value: object) -> bool:
    """Return whether a value of a result can be drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def chart(columns: Columns, rows: Rows) -> Chart | None:
    """Return the numbers of a result over its first column; None unless that column has distinct times."""
    if not columns or not (columns[0]["type"].startswith(_TIMES) or columns[0]["name"] == _DAY):
        return None
    points = [(instant(row[0]), row) for row in rows]
    times = {at.timestamp(): row for at, row in points if at is not None}
    numbers = _numeric(columns, rows)[:MOST_SERIES]
    if not numbers or len(times) < max(2, len(rows)):
        return None
    ascending = sorted(times)
    series = [
        {"name": columns[place]["name"], "values": [times[at][place] for at in ascending]}
        for place in numbers
    ]
    return Chart(ascending, series)


def shares(columns: Columns, rows: Rows) -> list[float] | None:
    """Return the last number of each row as a share of the largest one, from 0 to 1.

    None without a column of numbers, if one is negative or missing, or for more than `MOST_BARS` rows.
    """
    numbers = _numeric(columns, rows)
    if not numbers or len(rows) > MOST_BARS:
        return None
    values = [row[numbers[-1]] for row in rows]
    if any(value is None or value < 0 for value in values):
        return None
    largest = max(values) or 1
    return [value / largest for value in values]


def as_csv(columns: Columns, rows: Rows) -> str:
    """Return a result as CSV with the names of its columns; a missing value is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([column["name"] for column in columns])
    writer.writerows(rows)
    return text.getvalue()


def _numeric(columns: Columns, rows: Rows) -> list[int]:
    """Return the places of the columns after the first one that have numbers, or nothing, in every row."""
    return [
        place
        for place in range(1, len(columns))
        if any(row[place] is not None for row in rows)
        and all(row[place] is None or is_number(row[place]) for row in rows)
    ]
