"""Impressions of a visitor without a click: the events that count, and the tenants that need the counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from services.recommender.domain.history_events import impressions

if TYPE_CHECKING:
    from shared.events import InteractionRecorded
    from shared.events.placements import PlacementChanged

_ENGAGEMENTS = frozenset({"click", "view", "add_to_cart", "wishlist", "purchase"})
"""Event types after which an item was not shown in vain. A storefront may send views but no clicks."""

SECONDS_PER_DAY = 86_400


class ImpressionEvent(NamedTuple):
    """The items that an event says were shown to a subject, and the item that the subject turned to.

    `session_id` is that of a user's event; `milliseconds` is the time of receipt since the epoch.
    """

    tenant: str
    subject: str
    session_id: str | None
    milliseconds: int
    event_id: str
    shown: tuple[str, ...]
    engaged: str | None


def impression_event(event: InteractionRecorded) -> ImpressionEvent | None:
    """Return what an event says of shown items; None if it says nothing.

    Imported events and corrections say nothing.
    """
    if event.historical or event.replaces is not None:
        return None
    engaged = event.item_id if event.event_type in _ENGAGEMENTS else None
    shown = impressions(event)
    if engaged is None and not shown:
        return None
    return ImpressionEvent(
        event.tenant,
        event.subject,
        event.session_id if event.user_id is not None and event.session_id != event.user_id else None,
        round(event.received_at.timestamp() * 1_000),
        event.event_id,
        tuple(sorted(shown)),
        engaged,
    )


def count_within(counts: bytes, days: int, today: int) -> int:
    """Return the impressions of the last `days` days, today's included.

    `counts` are pairs of a day since 1970 and the impressions of that day, as in `20421 3 20420 1`.
    """
    numbers = counts.split()
    if len(numbers) == 2:
        return int(numbers[1]) if int(numbers[0]) > today - days else 0
    pairs = zip(map(int, numbers[::2]), map(int, numbers[1::2]), strict=True)
    return sum(count for day, count in pairs if day > today - days)


class FatigueTenants:
    """The tenants that have a placement with fatigue: impressions are counted for them alone."""

    def __init__(self) -> None:
        self._placements: dict[str, set[str]] = {}

    def __contains__(self, tenant: str) -> bool:
        """Return whether the impressions of a tenant are counted."""
        return tenant in self._placements

    def apply(self, key: str, changed: PlacementChanged | None) -> None:
        """Apply a record of placements-v1, whose key is `tenant:name`; None is a tombstone."""
        tenant, _, name = key.partition(":")
        names = self._placements.get(tenant, set())
        if changed is not None and changed.placement.rules.fatigue is not None:
            names.add(name)
        else:
            names.discard(name)
        if names:
            self._placements[tenant] = names
        else:
            self._placements.pop(tenant, None)
