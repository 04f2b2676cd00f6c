"""Facts that events state: items seen, touches, purchases and logins."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from shared.aws.personalize.recommendation_ids import parse
from shared.events import InteractionRecorded
from shared.events.values import is_usable

_DAY = timedelta(days=1)
_COUNTED_TYPES = frozenset(
    (
        *("view", "click", "add_to_cart", "remove_from_cart", "view_cart", "begin_checkout", "purchase"),
        *("refund", "wishlist", "search", "list_view", "impression", "exposure", "identify"),
        *("order_update", "cancel"),
    )
)
OTHER_TYPE = "other"
"""The name under which events of other types are counted together: senders may invent any number of them."""


class Mark(NamedTuple):
    """An item of an answer that was seen, or clicked."""

    tenant: str
    recommendation_id: str
    item_id: str
    clicked: bool


class Touch(NamedTuple):
    """An event that names an answer and one of its items."""

    tenant: str
    event_id: str
    is_purchase: bool
    recommendation_id: str
    item_id: str
    user_id: str | None
    session_id: str | None
    occurred_at: datetime


class Login(NamedTuple):
    """A user in a session."""

    tenant: str
    session_id: str
    user_id: str
    seen_at: datetime


class Purchase(NamedTuple):
    """A purchased line, as its claim and the shop's order say together."""

    user_id: str | None
    session_id: str | None
    item_id: str
    order_key: uuid.UUID
    occurred_at: datetime
    units: Decimal
    revenue: Decimal
    recommendation_id: str | None


def time_of(event: InteractionRecorded) -> datetime:
    """Return when an event counts: at its own time, but not later than it was received."""
    return event.happened_by


def answered_at(recommendation_id: str | None) -> datetime | None:
    """Return the time in the id of an answer; None for no id, or one without the signed form."""
    signed = parse(recommendation_id) if recommendation_id else None
    if signed is None or signed.milliseconds > 2**45:  # the year 3084: not an id that was ever made
        return None
    return datetime.fromtimestamp(signed.milliseconds / 1000, UTC)


def is_recent_answer(recommendation_id: str | None, at: datetime, window: timedelta) -> bool:
    """Return whether an id has the signed form, and the answer was at most `window` old at that time."""
    answered = answered_at(recommendation_id)
    return answered is not None and at - answered <= window


def type_name(event_type: str) -> str:
    """Return the name under which events of a type are counted."""
    return event_type if event_type in _COUNTED_TYPES else OTHER_TYPE


def digest(*parts: str) -> uuid.UUID:
    """Return 128 bits of a hash of texts, for rows that must not hold the texts."""
    text = "\0".join(parts).encode()
    return uuid.UUID(bytes=hashlib.blake2b(text, digest_size=16).digest())


def marks(event: InteractionRecorded, click_types: frozenset[str]) -> Iterator[Mark]:
    """Yield the items of the answer named by an event that it says were seen or clicked."""
    if event.recommendation_id is None:
        return
    for item_id in event.impression or ():
        yield Mark(event.tenant, event.recommendation_id, item_id, clicked=False)
    if event.item_id is None:
        return
    if event.event_type == "impression":
        yield Mark(event.tenant, event.recommendation_id, event.item_id, clicked=False)
    elif event.event_type in click_types or event.event_type == "purchase":
        yield Mark(event.tenant, event.recommendation_id, event.item_id, clicked=True)


def touch(event: InteractionRecorded, click_types: frozenset[str]) -> Touch | None:
    """Return the touch that an event other than a purchase is, else None."""
    if event.recommendation_id is None or event.item_id is None or event.event_type == "purchase":
        return None
    if event.event_type not in click_types:
        return None
    return Touch(
        event.tenant,
        event.event_id,
        False,
        event.recommendation_id,
        event.item_id,
        event.user_id,
        event.session_id,
        time_of(event),
    )


def login(event: InteractionRecorded) -> Login | None:
    """Return the user and session that an event names, else None."""
    if event.user_id is None or event.session_id is None or event.user_id == event.session_id:
        return None
    return Login(event.tenant, event.session_id, event.user_id, time_of(event))


def purchase_facts(event: InteractionRecorded) -> dict[str, Any]:
    """Return what a purchase says, as JSON."""
    return {
        "user_id": event.user_id,
        "session_id": event.session_id,
        "item_id": event.item_id,
        "order_id": event.order_id,
        "occurred_at": time_of(event).astimezone(UTC).isoformat(),
        "received_at": event.received_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "quantity": event.quantity,
        "price": event.price,
        "value": event.value,
        "recommendation_id": event.recommendation_id,
    }


def earlier(left: dict[str, Any] | None, right: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return which of two statements of one purchase was received first; both may be None."""
    if left is None or right is None:
        return left or right
    return min(left, right, key=lambda each: (each["received_at"], repr(sorted(each.items()))))


def merged(
    tenant: str, event_id: str, claim: dict[str, Any] | None, line: dict[str, Any] | None
) -> Purchase | None:
    """Return the purchase of an id: the line of the shop's order, completed by a claim that agrees with it.

    None if neither is known or it names no item.
    """
    facts = line or claim
    if facts is None or facts["item_id"] is None:
        return None
    user_id, session_id, recommendation_id = (
        facts[name] for name in ("user_id", "session_id", "recommendation_id")
    )
    amounts = facts
    if line is not None and claim is not None and _agrees(claim, line):
        amounts = {**claim, **_stated(line)}
        user_id = user_id or claim["user_id"]
        session_id = claim["session_id"] or session_id
        recommendation_id = recommendation_id or claim["recommendation_id"]
    units, revenue = _amounts(amounts)
    return Purchase(
        user_id,
        session_id,
        facts["item_id"],
        digest(tenant, facts["order_id"] or f"event:{event_id}"),
        datetime.fromisoformat(facts["occurred_at"]),
        units,
        revenue,
        recommendation_id,
    )


def _stated(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return the amounts that an order states; a claim that agrees with it states the others."""
    return {name: line[name] for name in ("quantity", "price", "value") if line[name] is not None}


def _agrees(claim: Mapping[str, Any], line: Mapping[str, Any]) -> bool:
    """Return whether a claim tells of the same line, user and day as the order."""
    same = all(
        claim[name] is None or line[name] is None or claim[name] == line[name]
        for name in ("user_id", "quantity", "price")
    )
    apart = datetime.fromisoformat(claim["occurred_at"]) - datetime.fromisoformat(line["occurred_at"])
    same_line = claim["item_id"] == line["item_id"] and claim["order_id"] == line["order_id"]
    return same and same_line and abs(apart) <= _DAY


def _amounts(facts: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    """Return units and revenue: quantity × price, else the value of the event, else 0. Both are exact."""
    quantity, price, value = (_decimal(facts.get(name)) for name in ("quantity", "price", "value"))
    units = Decimal(1) if quantity is None else quantity
    if price is not None:
        return units, units * price
    return units, value or Decimal(0)


def _decimal(number: float | None) -> Decimal | None:
    return None if number is None or not is_usable(number) else Decimal(repr(float(number)))
