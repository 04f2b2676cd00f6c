"""Growth of items: the events of the last hours beside those that the day before lets expect."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.events import InteractionRecorded

HOUR_SECONDS = 3_600
RECENT_HOURS = 3
"""The current hour and the full hours before it that count as recent. Arbitrary: shorter than an evening."""
EARLIER_HOURS = 24
"""Hours before the recent ones, whose average is expected: a day has every time of day."""
SMOOTHING = 4.0
"""Expected events that are added to every item, so that a few events are no trend. Arbitrary."""

_COUNTED = frozenset({"view", "add_to_cart", "purchase"})


def trend_counts(events: Iterable[InteractionRecorded], now: datetime) -> dict[tuple[str, int], Counter[str]]:
    """Return the views, additions to carts and purchases by (tenant, hour since the epoch) and item.

    Imported events, and those of hours that no longer count, are left out.
    """
    current = hour_of(now)
    oldest = current - RECENT_HOURS - EARLIER_HOURS
    counts: dict[tuple[str, int], Counter[str]] = {}
    for event in events:
        if event.item_id is None or event.historical or event.event_type not in _COUNTED:
            continue
        hour = hour_of(event.occurred_at)
        if oldest < hour <= current:
            of_hour = counts.get((event.tenant, hour))
            if of_hour is None:
                of_hour = counts[event.tenant, hour] = Counter()
            of_hour[event.item_id] += 1
    return counts


def growth(
    recent: Mapping[str, float], earlier: Mapping[str, float], recent_hours: float
) -> list[tuple[str, float]]:
    """Return the growing items with their scores, highest first.

    `recent` and `earlier` are events by item, `recent_hours` the length of the recent time so far. The score
    is the excess over the expected events in standard deviations of a Poisson count, smoothed.
    """
    scores = []
    for item_id, count in recent.items():
        expected = earlier.get(item_id, 0.0) * recent_hours / EARLIER_HOURS
        score = (count - expected) / math.sqrt(expected + SMOOTHING)
        if score > 0:
            scores.append((item_id, round(score, 4)))
    scores.sort(key=lambda each: (-each[1], each[0]))
    return scores


def hour_of(time: datetime) -> int:
    """Return the hour since the epoch."""
    return int(time.timestamp()) // HOUR_SECONDS
