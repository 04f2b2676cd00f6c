"""The interactions that make up a history, and the items that an event names as shown."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from shared.events import InteractionRecorded

# They do not refer to one item, or say nothing about the user's taste.
_NOT_KEPT = frozenset(
    (
        *("impression", "exposure", "search", "list_view", "view_cart", "begin_checkout"),
        *("order_update", "cancel", "refund"),
    )
)
_GUEST_ORDER = "order:"


class Login(NamedTuple):
    """The user whose session it is, as an event of any type states it."""

    tenant: str
    session_id: str
    user_id: str


class HistoryEvent(NamedTuple):
    """An interaction as a history stores it; `seconds` is the time in seconds since the epoch."""

    tenant: str
    user_id: str | None
    session_id: str | None
    item_id: str
    event_type: str
    seconds: float
    event_id: str

    @property
    def is_purchase(self) -> bool:
        """Return whether the item is left out of recommendations for the look-back on purchases."""
        return self.event_type == "purchase"


def is_kept(event_type: str, user_id: str | None, session_id: str | None) -> bool:
    """Return whether an interaction with an item belongs in a history.

    A guest's order has a session of its own, for which no recommendations are requested.
    """
    if event_type in _NOT_KEPT:
        return False
    return user_id is not None or not (session_id or _GUEST_ORDER).startswith(_GUEST_ORDER)


def login(event: InteractionRecorded) -> Login | None:
    """Return the user and the session that the event names; None if it names one only, or was imported."""
    user, session = event.user_id, event.session_id
    if event.historical or user is None or session is None or user == session:
        return None
    return Login(event.tenant, session, user)


def history_event(event: InteractionRecorded, oldest: datetime) -> HistoryEvent | None:
    """Return the event as a history stores it.

    Return None if it does not belong in a history, or was imported and is older than `oldest`.
    """
    if event.item_id is None or not is_kept(event.event_type, event.user_id, event.session_id):
        return None
    if event.historical and event.occurred_at < oldest:
        return None
    return HistoryEvent(
        event.tenant,
        event.user_id,
        event.session_id,
        event.item_id,
        event.event_type,
        round(event.occurred_at.timestamp(), 3),
        event.event_id,
    )


def replaced_event(correction: InteractionRecorded) -> HistoryEvent:
    """Return the event that a correction replaces; its item id is empty if it named no item."""
    claim = correction.replaces
    assert claim is not None
    return HistoryEvent(
        correction.tenant,
        claim.user_id,
        claim.session_id,
        claim.item_id or "",
        claim.event_type,
        round(claim.occurred_at.timestamp(), 3),
        correction.event_id,
    )


def impressions(event: InteractionRecorded) -> set[str]:
    """Return the ids of the items that the event says were shown and not interacted with."""
    if event.historical:
        return set()
    if event.event_type == "impression":
        return {*(event.impression or ()), *((event.item_id,) if event.item_id else ())}
    return set(event.impression or ()) - {event.item_id}


def implies_impressions(event: InteractionRecorded) -> bool:
    """Return whether the items of the recommendation that the event names count as shown.

    They do where the event does not list the items shown itself.
    """
    return event.recommendation_id is not None and not event.impression and not event.historical
