"""Parse the cells of a file. A cell that cannot be parsed raises RowRejected."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from services.sync.domain.date_order import parse_date, swap_day_and_month
from services.sync.domain.mapping import Mapping
from shared.events.values import LARGEST, LONGEST_ID, is_usable

LONGEST_TEXT = 2_000
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

# [0-9] because \d and float() also accept digits of other scripts, and float() accepts nan, inf and 1_000.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_COMMA_NUMBER = re.compile(r"[+-]?(?:[0-9]+,?[0-9]*|,[0-9]+)(?:[eE][+-]?[0-9]+)?")
# Thousands separators that are nowhere a decimal mark: spaces (also non-breaking ones) and apostrophes.
_MARK = "[ \u00a0\u2009\u202f'\u2019]"
_THOUSANDS = re.compile(rf"[+-]?[1-9][0-9]{{0,2}}({_MARK})[0-9]{{3}}(?:\1[0-9]{{3}})*(?:\.[0-9]+)?")
_COMMA_THOUSANDS = re.compile(rf"[+-]?[1-9][0-9]{{0,2}}({_MARK}|\.)[0-9]{{3}}(?:\1[0-9]{{3}})*(?:,[0-9]+)?")
# Commas as thousands separators only where they cannot be a decimal comma: 1,234 alone may be either.
_POINT_AND_COMMAS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+\.[0-9]+|,[0-9]{3}(?:,[0-9]{3})+)")
_MARKS = re.compile(_MARK)
_SECONDS = re.compile(r"\d{9,10}(?:\.\d+)?")
_MILLISECONDS = re.compile(r"\d{12,13}")
_TRUE = frozenset({"true", "t", "yes", "y", "1", "backorder", "instock"})
_FALSE = frozenset({"false", "f", "no", "n", "0", "outofstock"})
_CACHE_SIZE = 20_000
"""Dates that a parser caches. Arbitrary."""


class RowRejected(Exception):
    """A row that cannot be imported: `code` is counted, `detail` is a sentence for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def identifier(text: str, field: str) -> str:
    """Return an id of 1 to 256 characters. Raises RowRejected."""
    text = text.strip()
    if not text:
        raise RowRejected("missing_value", f"{field} is empty")
    return optional_identifier(text, field) or ""


def optional_identifier(text: str, field: str) -> str | None:
    """Return an id, or None for an empty cell. Raises RowRejected."""
    text = text.strip()
    if len(text) > LONGEST_ID:
        raise RowRejected("too_long", f"{field} is longer than {LONGEST_ID} characters")
    return text or None


def optional_text(text: str, field: str) -> str | None:
    """Return a text, or None for an empty cell. Raises RowRejected."""
    text = text.strip()
    if len(text) > LONGEST_TEXT:
        raise RowRejected("too_long", f"{field} is longer than {LONGEST_TEXT:,} characters")
    return text or None


def optional_bool(text: str, field: str) -> bool | None:
    """Return a truth value, or None for an empty cell. Raises RowRejected."""
    word = text.strip().lower()
    if not word:
        return None
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise RowRejected("bad_value", f"{field} is {text[:60]!r}; write true or false")


def number_parser(mapping: Mapping) -> Callable[[str, str], float | None]:
    """Return a parser of numbers with the mapping's decimal mark; it returns None for an empty cell.

    Thousands may be grouped by spaces and apostrophes, and by dots if the decimal mark is a comma. The parser
    raises RowRejected for a text that could be two different numbers, and for a number out of range.
    """
    has_decimal_comma = mapping.decimal == ","

    def parse_number(text: str, field: str) -> float | None:
        """Return the number in a cell, or None for an empty cell. Raises RowRejected."""
        text = text.strip()
        if not text:
            return None
        plain = _from_decimal_comma(text) if has_decimal_comma else _from_decimal_point(text)
        value = math.nan if plain is None else float(plain)
        if not is_usable(value):
            problem = f"beyond {LARGEST:g}" if plain is not None else f"not a number{_example(mapping)}"
            raise RowRejected("bad_number", f"{field} is {text[:60]!r}, which is {problem}")
        return value

    return parse_number


def _from_decimal_point(text: str) -> str | None:
    if _NUMBER.fullmatch(text):
        return text
    if _THOUSANDS.fullmatch(text):
        return _MARKS.sub("", text)
    return text.replace(",", "") if _POINT_AND_COMMAS.fullmatch(text) else None


def _from_decimal_comma(text: str) -> str | None:
    if _COMMA_NUMBER.fullmatch(text):
        return text.replace(",", ".")
    if _COMMA_THOUSANDS.fullmatch(text):
        return _MARKS.sub("", text).replace(".", "").replace(",", ".")
    return None


def _example(mapping: Mapping) -> str:
    return (
        " like 1.234,5: the mapping's decimal mark is a comma" if mapping.decimal == "," else " like 1234.5"
    )


def date_parser(mapping: Mapping) -> Callable[[str, str], datetime]:
    """Return a parser of dates in the mapping's formats and time zone.

    It caches dates, since the rows of an order share one, and raises RowRejected for a text that is not a
    date between 1970 and 2200.
    """
    zone = UTC if mapping.timezone == "UTC" else ZoneInfo(mapping.timezone)
    formats = mapping.date_formats or ("iso",)
    cache: dict[str, datetime] = {}

    def parse_cell(text: str, field: str) -> datetime:
        """Return the date in a cell, in UTC. Raises RowRejected."""
        cached = cache.get(text)
        if cached is not None:
            return cached
        if not text.strip():
            raise RowRejected("missing_value", f"{field} is empty")
        date = _in_utc(_parse_first(text.strip(), formats), zone)
        if date is None or not EARLIEST <= date < LATEST:
            detail = f"{field} is {text[:60]!r}, which is not a date {_examples(formats)}"
            raise RowRejected("bad_date", detail + _hint(text.strip(), formats))
        if len(cache) >= _CACHE_SIZE:
            cache.clear()
        cache[text] = date
        return date

    return parse_cell


def _in_utc(date: datetime | None, zone: tzinfo) -> datetime | None:
    """Return a date in UTC; one without a time zone is in `zone`. None if it cannot be converted."""
    if date is None:
        return None
    try:
        return (date.replace(tzinfo=zone) if date.tzinfo is None else date).astimezone(UTC)
    except OverflowError:
        return None


def _parse_first(text: str, formats: tuple[str, ...]) -> datetime | None:
    """Return the date in the first format that fits, or None."""
    for form in formats:
        try:
            if form != "iso":
                date = parse_date(text, form)
                if date is None:
                    continue
                return date
            if _SECONDS.fullmatch(text):
                return datetime.fromtimestamp(float(text), UTC)
            if _MILLISECONDS.fullmatch(text):
                return datetime.fromtimestamp(int(text) / 1000, UTC)
            return datetime.fromisoformat(text)
        except ValueError:
            continue
    return None


def _examples(formats: tuple[str, ...]) -> str:
    names = ["such as 2026-01-31 13:45:00" if form == "iso" else f"like {form}" for form in formats]
    return " or ".join(names)


def _hint(text: str, formats: tuple[str, ...]) -> str:
    """Return the hint that a text is a date with day and month swapped, or an empty text."""
    is_swapped = any(parse_date(text, swap_day_and_month(form)) for form in formats if form != "iso")
    return "; with day and month swapped it would be one" if is_swapped else ""
