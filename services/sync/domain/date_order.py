"""Decide whether the dates of a file have the month or the day first, once for the whole file.

Decided row by row, 05/12/2010 and 13/12/2010 in one file would be read as May and December.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from services.sync.domain.mapping import Mapping
from shared.errors import Permanent

_CACHE_SIZE = 20_000
"""Dates that are remembered so that each is parsed once. Arbitrary."""

_DIGITS = {"Y": b"[0-9]{4}", "y": b"[0-9]{2}"} | dict.fromkeys("HIMSj", b"[0-9]{1,3}")
"""Digits that strptime accepts for a directive."""


class _Cell(NamedTuple):
    line: int
    text: str


class DateOrder:
    """Collects the dates of a file that show the order of day and month.

    A mapping is ambiguous if it has the same format with the month first and with the day first.
    """

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._pairs = [
            (form, swap_day_and_month(form))
            for form in mapping.date_formats
            if _is_month_first(form) and swap_day_and_month(form) in mapping.date_formats
        ]
        self._patterns = [
            re.compile(trace) for trace in {_pattern_after_month(pair[0]) for pair in self._pairs}
        ]
        self._month_first: _Cell | None = None
        self._day_first: _Cell | None = None
        self._either: _Cell | None = None
        self._observed: set[str] = set()

    @property
    def is_ambiguous(self) -> bool:
        """Return whether the mapping allows both orders, so that the file must decide."""
        return bool(self._pairs)

    def may_match(self, piece: bytes) -> bool:
        """Return whether a piece of the file may contain a date that depends on the order.

        This is about ten times as fast as parsing rows, and most files have no such date.
        """
        return any(trace.search(piece) for trace in self._patterns)

    def observe(self, text: str, line: int) -> None:
        """Record a date of the file; a text that is not an ambiguous date changes nothing."""
        if text in self._observed:
            return
        if len(self._observed) >= _CACHE_SIZE:
            self._observed.clear()
        self._observed.add(text)
        for month_first, day_first in self._pairs:
            a, b = parse_date(text, month_first), parse_date(text, day_first)
            if a is not None and b is None:
                self._month_first = self._month_first or _Cell(line, text)
            elif b is not None and a is None:
                self._day_first = self._day_first or _Cell(line, text)
            elif a != b:
                self._either = self._either or _Cell(line, text)

    def resolved_mapping(self) -> Mapping:
        """Return the mapping with the formats that fit the file.

        Raises Permanent if no row decides, or if rows contradict each other: then the mapping must decide.
        """
        if not self._pairs:
            return self._mapping
        if self._month_first and self._day_first:
            raise Permanent(
                f"The dates of the file contradict each other: {self._month_first.text[:60]!r} on line "
                f"{self._month_first.line:,} has the month first, and {self._day_first.text[:60]!r} on line "
                f"{self._day_first.line:,} the day. {self._advice()}"
            )
        if self._either and not self._month_first and not self._day_first:
            raise Permanent(f"{self._readings(self._either)} {self._advice()}")
        wrong = {month_first if self._day_first else day_first for month_first, day_first in self._pairs}
        formats = tuple(form for form in self._mapping.date_formats if form not in wrong)
        return self._mapping.model_copy(update={"date_formats": formats})

    def _readings(self, cell: _Cell) -> str:
        readings = (
            (parse_date(cell.text, month_first), parse_date(cell.text, day_first))
            for month_first, day_first in self._pairs
        )
        month_first, day_first = next((a, b) for a, b in readings if a is not None and b is not None)
        return (
            f"The dates of the file can be read in two ways, and no row decides: {cell.text[:60]!r} on line "
            f"{cell.line:,} is {month_first:%Y-%m-%d} with the month first, and {day_first:%Y-%m-%d} with "
            "the day first."
        )

    def _advice(self) -> str:
        month_first, day_first = self._pairs[0]
        return (
            f"Send it with the source {self._mapping.source} and a mapping that decides: "
            f'{{"date_format": "{month_first}"}} or {{"date_format": "{day_first}"}}.'
        )


def swap_day_and_month(form: str) -> str:
    """Return a strptime format with day and month swapped."""
    return form.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")


def _pattern_after_month(form: str) -> bytes:
    """Return a regular expression of a date after its month, for a format with the month first."""
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
    """Return the date in a text of a strptime format, or None."""
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 - the caller adds the zone
    except ValueError:
        return None
