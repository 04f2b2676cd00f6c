"""The expiry of an API key, as a person writes it: a duration or a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_DURATION = re.compile(r"(\d{1,6}(?:\.\d+)?)([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LATEST = timedelta(days=36_525)
"""A century, so that the sum stays a valid time; arbitrary."""


def parse_expiry(text: str, now: datetime) -> datetime:
    """Return the time of a duration from `now` (`90m`, `12h`, `7d`, `2w`) or of an ISO 8601 time.

    A time without an offset is UTC. Raises ValueError for anything else, and for a time that has passed or
    is more than a century away.
    """
    duration = _DURATION.fullmatch(text.strip())
    if duration is not None:
        expires_at = now + min(timedelta(**{_UNITS[duration[2]]: float(duration[1])}), 2 * _LATEST)
    else:
        try:
            expires_at = datetime.fromisoformat(text.strip())
        except ValueError:
            message = f"{text!r} is neither a duration such as 7d or 12h nor a time such as 2027-01-31T00:00Z"
            raise ValueError(message) from None
        if expires_at.tzinfo is None:
            expires_at = expires_at.replace(tzinfo=UTC)
    if not now < expires_at <= now + _LATEST:
        raise ValueError(f"{text!r} is not within a century from now")
    return expires_at
