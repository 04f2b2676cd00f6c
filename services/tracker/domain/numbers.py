"""Numbers among the properties of an event, which some senders write as text."""

from __future__ import annotations

import math

from shared.events.values import LARGEST, is_usable


class NumberOutOfRange(ValueError):
    """A number that is not accepted because it is too large."""


def parse_number(value: object) -> float | None:
    """Return a number, or a text that is one, as a float; None for any other value.

    Raises NumberOutOfRange for a number beyond the limits of `shared.events.values`.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    if not is_usable(number):
        message = f"{number:g} is beyond {LARGEST:g}, the largest number of an event"
        raise NumberOutOfRange(message)
    return number
