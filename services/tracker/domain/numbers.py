"""Numbers among the properties of an event, which some senders write as text."""

from __future__ import annotations

import math
from typing import Final

from shared.events.values import LARGEST, is_usable

TEXT_OR_NUMBER: Final = frozenset({str, int, float})
"""The types of a JSON value that may be a number or an id; a boolean is neither."""


class NumberOutOfRange(ValueError):
    """A number that is not accepted because it is too large."""


def parse_number(value: object) -> float | None:
    """Return a number, or a text that is one, as a float; None for any other value.

    Raises NumberOutOfRange for a number beyond the limits of `shared.events.values`.
    """
    if type(value) not in TEXT_OR_NUMBER:
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # one of the types above
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    if not is_usable(number):
        message = f"{number:g} is beyond {LARGEST:g}, the largest number of an event"
        raise NumberOutOfRange(message)
    return number
