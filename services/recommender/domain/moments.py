"""Which interactions make a history."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from shared.events import InteractionRecorded

# Seen in passing, or not about one item: they say nothing about taste.
_NOT_KEPT = frozenset(
    (
        *("impression", "exposure", "search", "list_view", "view_cart", "begin_checkout"),
        *("order_update", "cancel"),
    )
)
_GUEST_ORDER = "order:"


class Login(NamedTuple):
    """An event of any type that names a session and its user."""

    tenant: str
    session_id: str
    user_id: str


class Moment(NamedTuple):
    """An interaction as a history keeps it; times are epoch seconds."""

    tenant: str
    user_id: str | None
    session_id: str | None
    item_id: str
    event_type: str
    seconds: float
    event_id: str

    @property
    def is_purchase(self) -> bool:
        """Whether the item is not to be recommended for a while."""
        return self.event_type == "purchase"


def is_kept(event_type: str, user_id: str | None, session_id: str | None) -> bool:
    """Whether an interaction with an item says something about somebody who may come back.

    A guest's order is a session of its own that nobody ever asks with.
    """
    if event_type in _NOT_KEPT:
        return False
    return user_id is not None or not (session_id or _GUEST_ORDER).startswith(_GUEST_ORDER)


def login(event: InteractionRecorded) -> Login | None:
    """Return whose session the event says it is; None when it does not say, or was imported."""
    user, session = event.user_id, event.session_id
    if event.historical or user is None or session is None or user == session:
        return None
    return Login(event.tenant, session, user)


def moment(event: InteractionRecorded, oldest: datetime) -> Moment | None:
    """The event as a moment; None when it makes no history, or was imported and is older than `oldest`."""
    if event.item_id is None or not is_kept(event.event_type, event.user_id, event.session_id):
        return None
    if event.historical and event.occurred_at < oldest:
        return None
    return Moment(
        event.tenant,
        event.user_id,
        event.session_id,
        event.item_id,
        event.event_type,
        round(event.occurred_at.timestamp(), 3),
        event.event_id,
    )


def claimed(correction: InteractionRecorded) -> Moment:
    """Return the moment of the claim that a correction replaces; without an item there is none to remove."""
    claim = correction.replaces
    assert claim is not None
    return Moment(
        correction.tenant,
        claim.user_id,
        claim.session_id,
        claim.item_id or "",
        claim.event_type,
        round(claim.occurred_at.timestamp(), 3),
        correction.event_id,
    )


def shown(event: InteractionRecorded) -> set[str]:
    """The items that the event says were shown and not turned to."""
    if event.historical:
        return set()
    if event.event_type == "impression":
        return {*(event.impression or ()), *((event.item_id,) if event.item_id else ())}
    return set(event.impression or ()) - {event.item_id}


def implies_impressions(event: InteractionRecorded) -> bool:
    """Whether what was shown is what the recommendation held: where the event does not say it itself."""
    return event.recommendation_id is not None and not event.impression and not event.historical
