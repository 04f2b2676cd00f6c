"""Values as people read them: numbers with units, shares, durations, sizes, times."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

NOTHING = "–"
"""The text of a value that is not known."""

_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024.0
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*")
_DAY, _HOUR, _MINUTE = 86_400.0, 3_600.0, 60.0


def number(value: float | None, digits: int = 0) -> str:
    """Return a number with groups of three digits, such as `1,234,567`."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def compact(value: float | None) -> str:
    """Return a number with at most three significant digits and a suffix, such as `12.3k`."""
    if value is None:
        return NOTHING
    for size, suffix in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            scaled = value / (1e3 if suffix == "k" else size)
            return f"{scaled:.3g}{suffix}"
    is_whole = value == int(value) or abs(value) >= 1_000
    return f"{value:,.0f}" if is_whole else f"{value:,.3g}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share from 0 to 1 as `12.3 %`."""
    return NOTHING if share is None else f"{share * 100:,.{digits}f} %"


def seconds(value: float | None) -> str:
    """Return a duration with a unit that suits it, such as `0.8 ms`, `12.4 s` or `3 h 20 min`."""
    if value is None:
        return NOTHING
    if value < 1:
        return f"{value * 1000:.3g} ms"
    if value < _MINUTE:
        return f"{value:.3g} s"
    if value < _HOUR:
        return f"{int(value // _MINUTE)} min {int(value % _MINUTE)} s"
    if value < _DAY:
        return f"{int(value // _HOUR)} h {int(value % _HOUR // _MINUTE)} min"
    return f"{int(value // _DAY)} d {int(value % _DAY // _HOUR)} h"


def size(value: float | None) -> str:
    """Return a number of bytes with a binary unit, such as `83.1 MiB`."""
    if value is None:
        return NOTHING
    for unit in _BYTES[:-1]:
        if abs(value) < _STEP:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.3g} {unit}"
        value /= _STEP
    return f"{value:.3g} {_BYTES[-1]}"


def instant(value: datetime | str | float | None) -> datetime | None:
    """Return an instant in UTC of an ISO 8601 text or of seconds since 1970; None if it is neither."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def moment(value: datetime | str | float | None) -> str:
    """Return an instant as `2026-11-29 21:55:04`, in UTC."""
    at = instant(value)
    return NOTHING if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def words(name: str) -> str:
    """Return the name of a member as words, such as `created at` for `created_at`."""
    return name.replace("_", " ").strip().lower()


def fact(value: Any) -> str:
    """Return a value of a JSON document as one line; an instant as people write it."""
    is_instant = isinstance(value, str) and _INSTANT.fullmatch(value) and instant(value)
    return f"{moment(value)} UTC" if is_instant else text(value)


def ago(value: datetime | str | float | None, now: datetime) -> str:
    """Return how long an instant is past, such as `3 min ago`; `in 3 min` for a later one."""
    at = instant(value)
    if at is None:
        return NOTHING
    passed = (now - at).total_seconds()
    text = _rough(abs(passed))
    if text == "0 s":
        return "now"
    return f"{text} ago" if passed > 0 else f"in {text}"


def _rough(value: float) -> str:
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if value >= unit:
            return f"{int(value // unit)} {name}"
    return f"{int(value)} s"


def text(value: Any) -> str:
    """Return a value of a JSON document as one line."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    if isinstance(value, list):
        return ", ".join(text(entry) for entry in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {text(entry)}" for name, entry in value.items())
    return str(value)
