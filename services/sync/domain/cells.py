"""Cells of a file → values. Whatever can't be read raises `Refused` with a code and a sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from services.sync.domain.date_order import parse_date, swap_day_and_month
from services.sync.domain.mapping import Mapping
from shared.events.values import LARGEST, LONGEST_ID, is_usable

LONGEST_TEXT = 2_000
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

# [0-9], since \d and float() alone would also take other scripts' digits; float() nan, inf and 1_000, too.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_COMMA_NUMBER = re.compile(r"[+-]?(?:[0-9]+,?[0-9]*|,[0-9]+)(?:[eE][+-]?[0-9]+)?")
# Marks of thousands that are no decimal mark anywhere: blanks (also those that don't break) and apostrophes.
_MARK = "[ \u00a0\u2009\u202f'\u2019]"
_THOUSANDS = re.compile(rf"[+-]?[1-9][0-9]{{0,2}}({_MARK})[0-9]{{3}}(?:\1[0-9]{{3}})*(?:\.[0-9]+)?")
_COMMA_THOUSANDS = re.compile(rf"[+-]?[1-9][0-9]{{0,2}}({_MARK}|\.)[0-9]{{3}}(?:\1[0-9]{{3}})*(?:,[0-9]+)?")
# With commas only what no decimal comma could mean: 1,234 alone may be either.
_POINT_AND_COMMAS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+\.[0-9]+|,[0-9]{3}(?:,[0-9]{3})+)")
_MARKS = re.compile(_MARK)
_SECONDS = re.compile(r"\d{9,10}(?:\.\d+)?")
_MILLISECONDS = re.compile(r"\d{12,13}")
_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0"})
_REMEMBERED = 20_000


class RowRejected(Exception):
    """A row that can't be taken: `code` for counting, and a sentence for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def identifier(text: str, field: str) -> str:
    """An id: 1 to 256 characters."""
    text = text.strip()
    if not text:
        raise RowRejected("missing_value", f"{field} is empty")
    return optional_identifier(text, field) or ""


def optional_identifier(text: str, field: str) -> str | None:
    """An id, or None for an empty cell."""
    text = text.strip()
    if len(text) > LONGEST_ID:
        raise RowRejected("too_long", f"{field} is longer than {LONGEST_ID} characters")
    return text or None


def optional_text(text: str, field: str) -> str | None:
    """A name or the like, or None for an empty cell."""
    text = text.strip()
    if len(text) > LONGEST_TEXT:
        raise RowRejected("too_long", f"{field} is longer than {LONGEST_TEXT:,} characters")
    return text or None


def optional_bool(text: str, field: str) -> bool | None:
    """Yes or no, or None for an empty cell."""
    word = text.strip().lower()
    if not word:
        return None
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise RowRejected("bad_value", f"{field} is {text[:60]!r}; write true or false")


def number_parser(mapping: Mapping) -> Callable[[str, str], float | None]:
    """Return the reader of numbers as this source writes them, None for an empty cell.

    Thousands may be grouped by blanks and apostrophes, and by dots where the decimal mark is a comma. Refused
    for what could also be another number, and for what is beyond the bounds of values.
    """
    comma = mapping.decimal == ","

    def number(text: str, field: str) -> float | None:
        text = text.strip()
        if not text:
            return None
        plain = _with_commas(text) if comma else _with_points(text)
        value = math.nan if plain is None else float(plain)
        if not is_usable(value):
            what = f"beyond {LARGEST:g}" if plain is not None else f"no number{_written(mapping)}"
            raise RowRejected("bad_number", f"{field} is {text[:60]!r}, which is {what}")
        return value

    return number


def _with_points(text: str) -> str | None:
    if _NUMBER.fullmatch(text):
        return text
    if _THOUSANDS.fullmatch(text):
        return _MARKS.sub("", text)
    return text.replace(",", "") if _POINT_AND_COMMAS.fullmatch(text) else None


def _with_commas(text: str) -> str | None:
    if _COMMA_NUMBER.fullmatch(text):
        return text.replace(",", ".")
    if _COMMA_THOUSANDS.fullmatch(text):
        return _MARKS.sub("", text).replace(".", "").replace(",", ".")
    return None


def _written(mapping: Mapping) -> str:
    return (
        " like 1.234,5: the mapping's decimal mark is a comma" if mapping.decimal == "," else " like 1234.5"
    )


def date_parser(mapping: Mapping) -> Callable[[str, str], datetime]:
    """The reader of dates as this source writes them; it remembers, since rows of an order share theirs."""
    zone = UTC if mapping.timezone == "UTC" else ZoneInfo(mapping.timezone)
    formats = mapping.date_formats or ("iso",)
    seen: dict[str, datetime] = {}

    def date(text: str, field: str) -> datetime:
        known = seen.get(text)
        if known is not None:
            return known
        if not text.strip():
            raise RowRejected("missing_value", f"{field} is empty")
        found = _first(text.strip(), formats)
        try:
            found = found and (found.replace(tzinfo=zone) if found.tzinfo is None else found)
            found = found and found.astimezone(UTC)
        except OverflowError:
            found = None
        if found is None or not EARLIEST <= found < LATEST:
            raise RowRejected(
                "bad_date",
                f"{field} is {text[:60]!r}, which is no date {_like(formats)}{_hint(text.strip(), formats)}",
            )
        if len(seen) >= _REMEMBERED:
            seen.clear()
        seen[text] = found
        return found

    return date


def _first(text: str, formats: tuple[str, ...]) -> datetime | None:
    for form in formats:
        try:
            if form != "iso":
                found = parse_date(text, form)
                if found is None:
                    continue
                return found
            if _SECONDS.fullmatch(text):
                return datetime.fromtimestamp(float(text), UTC)
            if _MILLISECONDS.fullmatch(text):
                return datetime.fromtimestamp(int(text) / 1000, UTC)
            return datetime.fromisoformat(text)
        except ValueError:
            continue
    return None


def _like(formats: tuple[str, ...]) -> str:
    names = ["such as 2026-01-31 13:45:00" if form == "iso" else f"like {form}" for form in formats]
    return " or ".join(names)


def _hint(text: str, formats: tuple[str, ...]) -> str:
    """Say so when a text would be a date with day and month in each other's places."""
    would_be = any(
        parse_date(text, swap_day_and_month(form)) is not None for form in formats if form != "iso"
    )
    return "; with day and month in each other's places it would be one" if would_be else ""
