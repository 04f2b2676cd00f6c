"""Whether the dates of a file have the month or the day first: one answer for the whole file.

Read row by row, 05/12/2010 and 13/12/2010 of one file would be taken for May and December.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from services.sync.domain.mapping import Mapping
from shared.errors import Permanent

_REMEMBERED = 20_000
"""Different dates that are looked at once; an arbitrary bound of memory."""

_DIGITS = {"Y": b"[0-9]{4}", "y": b"[0-9]{2}"} | dict.fromkeys("HIMSj", b"[0-9]{1,3}")
"""Digits that strptime accepts for a directive."""


class _Cell(NamedTuple):
    line: int
    text: str


class DateOrder:
    """The order of day and month that the rows of a file prove.

    It is open where a mapping has the same format with the month first and with the day first.
    """

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._format_pairs = [
            (form, swap_day_and_month(form))
            for form in mapping.date_formats
            if _is_month_first(form) and swap_day_and_month(form) in mapping.date_formats
        ]
        self._patterns = [
            re.compile(trace) for trace in {_pattern_after_month(pair[0]) for pair in self._format_pairs}
        ]
        self._month_first: _Cell | None = None
        self._day_first: _Cell | None = None
        self._either: _Cell | None = None
        self._observed: set[str] = set()

    @property
    def is_ambiguous(self) -> bool:
        """Whether the file has to say it."""
        return bool(self._format_pairs)

    def may_match(self, piece: bytes) -> bool:
        """Return whether a piece of the file may hold a date that only the order of day and month tells.

        That is some ten times as fast as reading rows, and most files have no such date.
        """
        return any(trace.search(piece) for trace in self._patterns)

    def observe(self, text: str, line: int) -> None:
        """Take the date in a row of the file into account; what is no such date says nothing."""
        if text in self._observed:
            return
        if len(self._observed) >= _REMEMBERED:
            self._observed.clear()
        self._observed.add(text)
        for month_first, day_first in self._format_pairs:
            a, b = parse_date(text, month_first), parse_date(text, day_first)
            if a is not None and b is None:
                self._month_first = self._month_first or _Cell(line, text)
            elif b is not None and a is None:
                self._day_first = self._day_first or _Cell(line, text)
            elif a != b:
                self._either = self._either or _Cell(line, text)

    def resolved_mapping(self) -> Mapping:
        """Return the mapping with the formats that the file has.

        Permanent when no row proves one, or when rows prove both: then the mapping has to say which.
        """
        if not self._format_pairs:
            return self._mapping
        if self._month_first and self._day_first:
            raise Permanent(
                f"The dates of the file contradict each other: {self._month_first.text[:60]!r} on line "
                f"{self._month_first.line:,} has the month first, and {self._day_first.text[:60]!r} on line "
                f"{self._day_first.line:,} the day. {self._what_to_do()}"
            )
        if self._either and not self._month_first and not self._day_first:
            raise Permanent(f"{self._readings(self._either)} {self._what_to_do()}")
        loses = 0 if self._day_first else 1
        losers = {pair[loses] for pair in self._format_pairs}
        formats = tuple(form for form in self._mapping.date_formats if form not in losers)
        return self._mapping.model_copy(update={"date_formats": formats})

    def _readings(self, cell: _Cell) -> str:
        month_first, day_first = next(
            (a, b)
            for a, b in (
                (parse_date(cell.text, one), parse_date(cell.text, other))
                for one, other in self._format_pairs
            )
            if a is not None and b is not None
        )
        return (
            f"The dates of the file can be read in two ways, and no row decides: {cell.text[:60]!r} on line "
            f"{cell.line:,} is {month_first:%Y-%m-%d} with the month first, and {day_first:%Y-%m-%d} with "
            "the day first."
        )

    def _what_to_do(self) -> str:
        one, other = self._format_pairs[0]
        return (
            f"Send it with the source {self._mapping.source} and a mapping that says which: "
            f'{{"date_format": "{one}"}} or {{"date_format": "{other}"}}.'
        )


def swap_day_and_month(form: str) -> str:
    """Return a strptime format with day and month in each other's places."""
    return form.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")


def _pattern_after_month(form: str) -> bytes:
    """Return a regular expression of a date from behind its month on, in a format with the month first."""
    month, day = form.index("%m"), form.index("%d")
    before = re.escape(form[month + 2 : day]).encode()
    trace = b"%b(?<=[0-9]%b)[0-9]{1,2}" % (before, before)
    for literal, directive in re.findall(r"([^%]*)%(.)", form[day + 2 :]):
        if directive not in _DIGITS:
            break
        trace += re.sub(r"(\\\s)+", r"\\s+", re.escape(literal)).encode() + _DIGITS[directive]
    return trace


def _is_month_first(form: str) -> bool:
    month, day = form.find("%m"), form.find("%d")
    return -1 < month < day and "%" not in form[month + 2 : day]


def parse_date(text: str, form: str) -> datetime | None:
    """Return the time that a text says in a strptime format, or None."""
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 - the caller adds the zone
    except ValueError:
        return None
