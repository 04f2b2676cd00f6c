"""Numbers among the properties of an event, which senders also write as text."""

from __future__ import annotations

import math

from shared.events.values import LARGEST, is_usable


class BeyondLimits(ValueError):
    """A number that intake does not accept."""


def parse_number(value: object) -> float | None:
    """Return a number that came as one or as text; None when it is neither, and the event stays.

    Raises BeyondLimits for a number beyond what intake accepts.
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
        raise BeyondLimits(message)
    return number
