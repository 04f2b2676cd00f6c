"""Cells of a file → values. Whatever can't be read raises `Refused` with a code and a sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from services.sync.domain.mapping import Mapping
from shared.events.values import LARGEST, LONGEST_ID, is_usable

LONGEST_TEXT = 2_000
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_SECONDS = re.compile(r"\d{9,10}(?:\.\d+)?")
_MILLISECONDS = re.compile(r"\d{12,13}")
_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0"})
_REMEMBERED = 20_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class Refused(Exception):
    """A row that can't be taken: `code` for counting, and a sentence for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def as_text(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: an apostrophe goes before = + - @ and blanks.

    Source: OWASP, "CSV Injection".
    """
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def identifier(text: str, field: str) -> str:
    """An id: 1 to 256 characters."""
    text = text.strip()
    if not text:
        raise Refused("missing_value", f"{field} is empty")
    return optional_identifier(text, field) or ""


def optional_identifier(text: str, field: str) -> str | None:
    """An id, or None for an empty cell."""
    text = text.strip()
    if len(text) > LONGEST_ID:
        raise Refused("too_long", f"{field} is longer than {LONGEST_ID} characters")
    return text or None


def words(text: str, field: str) -> str | None:
    """A name or the like, or None for an empty cell."""
    text = text.strip()
    if len(text) > LONGEST_TEXT:
        raise Refused("too_long", f"{field} is longer than {LONGEST_TEXT:,} characters")
    return text or None


def truth(text: str, field: str) -> bool | None:
    """Yes or no, or None for an empty cell."""
    word = text.strip().lower()
    if not word:
        return None
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise Refused("bad_value", f"{field} is {text[:60]!r}; write true or false")


def numbers(mapping: Mapping) -> Callable[[str, str], float | None]:
    """The reader of numbers as this source writes them."""
    comma = mapping.decimal == ","

    def number(text: str, field: str) -> float | None:
        text = text.strip()
        if not text:
            return None
        plain = text.replace(",", ".") if comma else text
        # float() alone would also take nan, inf, 1_000 and other scripts' digits.
        is_number = plain.isascii() and _NUMBER.fullmatch(plain) is not None
        value = float(plain) if is_number else math.nan
        if not is_usable(value):
            what = f"beyond {LARGEST:g}" if is_number else "no number"
            raise Refused("bad_number", f"{field} is {text[:60]!r}, which is {what}")
        return value

    return number


def dates(mapping: Mapping) -> Callable[[str, str], datetime]:
    """The reader of dates as this source writes them; it remembers, since rows of an order share theirs."""
    zone = UTC if mapping.timezone == "UTC" else ZoneInfo(mapping.timezone)
    formats = mapping.date_formats or ("iso",)
    seen: dict[str, datetime] = {}

    def date(text: str, field: str) -> datetime:
        known = seen.get(text)
        if known is not None:
            return known
        if not text.strip():
            raise Refused("missing_value", f"{field} is empty")
        found = _first(text.strip(), formats)
        try:
            found = found and (found.replace(tzinfo=zone) if found.tzinfo is None else found)
            found = found and found.astimezone(UTC)
        except OverflowError:
            found = None
        if found is None or not EARLIEST <= found < LATEST:
            raise Refused("bad_date", f"{field} is {text[:60]!r}, which is no date {_like(formats)}")
        if len(seen) >= _REMEMBERED:
            seen.clear()
        seen[text] = found
        return found

    return date


def _first(text: str, formats: tuple[str, ...]) -> datetime | None:
    for form in formats:
        try:
            if form != "iso":
                return datetime.strptime(text, form)  # noqa: DTZ007 - the caller adds the zone
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
