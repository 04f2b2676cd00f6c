"""Calls of Segment and RudderStack: `type` is the kind of call, `event` what happened.

https://segment.com/docs/connections/spec/ and …/spec/ecommerce/v2/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from services.tracker.domain.numbers import BeyondLimits, parse_number
from services.tracker.domain.reception import MAX_DEPTH, Reception, Rejected, nests_too_deep, with_adjustment
from shared.events import InteractionRecorded, OrderLine, canonical_type, derived_id, line_id
from shared.events.spellings import folded
from shared.events.values import LONGEST_ID, Document, Name

CALLS = frozenset({"track", "page", "screen", "identify", "alias", "group"})
MAX_PRODUCTS = 500
"""Products of one call, as many lines as a purchase of `track/purchase` may have."""
MAX_LINES = 10_000
"""Events that the calls of one request may become with their products. Arbitrary: 500 KiB hold about 5,000
products with a name and a price."""

_MEMBERS = frozenset(
    (
        *("event", "properties", "userId", "anonymousId", "messageId", "timestamp", "originalTimestamp"),
        *("sentAt", "receivedAt", "context", "integrations", "channel", "version", "writeKey", "rudderId"),
    )
)
"""Members of a track call that is sent without a `type`, as to an endpoint for track calls alone."""
_ITEM = ("productid", "itemid", "sku")
_PRODUCT_ITEM = (*_ITEM, "id")
_ORDER_VALUE = ("value", "revenue", "total")
_OF_ITEMS = frozenset({"view", "click", "add_to_cart", "remove_from_cart", "wishlist"})
"""Event types that are refused without an item."""


def _no_empty(value: object) -> object:
    """RudderStack sends an empty userId before login."""
    return None if value == "" else value


Optional = Annotated[Name | None, BeforeValidator(_no_empty)]


class Call(BaseModel):
    """A call as the SDKs of Segment and RudderStack send it.

    `track` is an event: `event` names what happened, and `properties` hold item (`product_id`, `item_id` or
    `sku`), `price`, `quantity`, `value` and `order_id`; each of its `products` is an event of its own. `page`
    and `screen` are events of these names. `identify` and `alias` tie a session to a user; traits are not
    kept. `group` is accepted and ignored.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", coerce_numbers_to_str=True
    )

    type: str = "track"
    event: Name | None = None
    name: Name | None = None
    user_id: Optional = None
    anonymous_id: Optional = Field(
        None, validation_alias=AliasChoices("anonymousId", "anonymous_id", "sessionId", "session_id")
    )
    previous_id: Optional = None
    message_id: Optional = None
    timestamp: datetime | None = None
    original_timestamp: datetime | None = None
    properties: Document | None = None


@dataclass(frozen=True, slots=True)
class Lines:
    """The events that one call became. `id` is the sender's id of the call, else that of the first event."""

    id: str
    events: tuple[InteractionRecorded, ...]


@dataclass(frozen=True, slots=True)
class Ignored:
    """A valid call with nothing to store; `reason` is a sentence that says why."""

    reason: str
    id: str | None = None


def is_call(event: Mapping[str, Any]) -> bool:
    """Return whether an event of a request is a call: by its `type`.

    Without one it is a `track` call when it has `event`, `properties`, and no member that calls don't have.
    """
    if "event_type" in event or "eventType" in event:
        return False
    if "type" in event:
        kind = event["type"]
        return isinstance(kind, str) and kind.lower() in CALLS
    return isinstance(event.get("properties"), dict) and "event" in event and event.keys() <= _MEMBERS


def recorded(event: Mapping[str, Any], reception: Reception) -> Lines | Ignored | Rejected:
    """Return what becomes of a call; raises ValidationError for a member that can't be one."""
    call = Call.model_validate(event)
    try:
        return _recorded(call, call.type.lower(), reception)
    except BeyondLimits as error:
        return Rejected(f"properties: {error}.", call.message_id)


def _recorded(call: Call, kind: str, reception: Reception) -> Lines | Ignored | Rejected:
    if kind == "group":
        return Ignored("A group call says nothing of items or users; it is not kept.", call.message_id)
    session = call.previous_id or call.anonymous_id if kind == "alias" else call.anonymous_id
    if call.user_id is None and session is None:
        return Rejected(f"A {kind} call needs userId or anonymousId.", call.message_id)
    if kind in {"identify", "alias"}:
        return _tie(call, session, kind, reception)
    properties = dict(call.properties or {})
    if nests_too_deep(properties):
        return Rejected(f"The properties are nested deeper than {MAX_DEPTH} levels.", call.message_id)
    if kind == "track":
        return _track(call, session, properties, reception)
    if call.name is not None:
        properties.setdefault("name", call.name)
    return _lines(call, session, kind, kind, [_said(properties, _ITEM)], reception)


def _tie(call: Call, session: str | None, kind: str, reception: Reception) -> Lines | Ignored:
    """Return the event that says whose session it is."""
    if call.user_id is None or session is None or call.user_id == session:
        other = "previousId" if kind == "alias" else "anonymousId"
        reason = f"The {kind} call ties no session to a user, for which it needs userId and {other}."
        return Ignored(reason, call.message_id)
    return _lines(call, session, kind, kind, [_Said()], reception)


def _track(
    call: Call, session: str | None, properties: dict[str, Any], reception: Reception
) -> Lines | Rejected:
    """Return the event of a track call, or one for each of its products."""
    sender_type = call.event
    if sender_type is None:
        return Rejected("A track call needs `event`, which names what happened.", call.message_id)
    name = canonical_type(sender_type)
    products = properties.get("products")
    if not isinstance(products, list) or not products:
        values = _ORDER_VALUE if name == "purchase" else ("value",)
        said, needs_item, where = [_said(properties, _ITEM, values)], name in _OF_ITEMS, "properties"
    else:
        if len(products) > MAX_PRODUCTS:
            reason = f"properties.products has {len(products)} entries; {MAX_PRODUCTS} are allowed."
            return Rejected(reason, call.message_id)
        if not all(isinstance(product, dict) for product in products):
            return Rejected("Each entry of properties.products must be an object.", call.message_id)
        # Of the order only what each line needs: a copy of all of it in each would multiply the request.
        order = _said({key: value for key, value in properties.items() if key != "products"}, (), ())
        currency = {"currency": properties["currency"]} if isinstance(properties.get("currency"), str) else {}
        said = [
            _said({**currency, **product}, _PRODUCT_ITEM)._replace(
                order_id=order.order_id, recommendation_id=order.recommendation_id
            )
            for product in products
        ]
        needs_item, where = True, "each entry of properties.products"
    if needs_item and any(line.item_id is None for line in said):
        return Rejected(f"{sender_type} needs product_id, item_id or sku in {where}.", call.message_id)
    return _lines(call, session, name, sender_type, said, reception)


class _Said(NamedTuple):
    """What the properties of a call, or one of its products, say of an event."""

    item_id: str | None = None
    value: float | None = None
    price: float | None = None
    quantity: float | None = None
    order_id: str | None = None
    recommendation_id: str | None = None
    properties: dict[str, Any] | None = None


def _said(properties: dict[str, Any], items: tuple[str, ...], values: tuple[str, ...] = ("value",)) -> _Said:
    """Read properties in whatever spelling: `product_id`, `productId` and `Product ID` are one."""
    by_name = {folded(name): value for name, value in properties.items()}
    return _Said(
        item_id=next((name for key in items if (name := _name(by_name.get(key)))), None),
        value=next(
            (number for key in values if (number := parse_number(by_name.get(key))) is not None), None
        ),
        price=parse_number(by_name.get("price")),
        quantity=parse_number(by_name.get("quantity")),
        order_id=_name(by_name.get("orderid")),
        recommendation_id=_name(by_name.get("recommendationid")),
        properties=properties or None,
    )


def _lines(
    call: Call,
    session: str | None,
    event_type: str,
    sender_type: str,
    said: list[_Said],
    reception: Reception,
) -> Lines:
    claimed = call.timestamp or call.original_timestamp
    occurred_at, adjusted = reception.moment(claimed)
    lines: Counter[str] = Counter()
    events = []
    for number, one in enumerate(said, 1):
        if event_type == "purchase" and one.order_id is not None and one.item_id is not None:
            # As the shop's own order names it. Lines are counted within the call: the same order in another
            # call of the request is no second order.
            lines[one.item_id] += 1
            line = OrderLine(item_id=one.item_id, n=lines[one.item_id])
            event_id = line_id(reception.tenant, one.order_id, line, "purchase")
        elif call.message_id is not None:
            event_id = call.message_id if len(said) == 1 else _numbered(call.message_id, number, reception)
        else:
            content = (call.user_id, session, event_type, number, *one)
            event_id = reception.event_id(claimed, *content)
        events.append(
            InteractionRecorded(
                event_id=event_id,
                tenant=reception.tenant,
                occurred_at=occurred_at,
                received_at=reception.received_at,
                user_id=call.user_id,
                session_id=session,
                event_type=event_type,
                sender_type=sender_type,
                item_id=one.item_id,
                value=one.value,
                price=one.price,
                quantity=one.quantity,
                order_id=one.order_id,
                recommendation_id=one.recommendation_id,
                properties=with_adjustment(one.properties, adjusted),
                source="segment",
            )
        )
    return Lines(call.message_id or events[0].event_id, tuple(events))


def _numbered(message_id: str, number: int, reception: Reception) -> str:
    own = f"{message_id}#{number}"
    return own if len(own) <= LONGEST_ID else derived_id(reception.tenant, own)


def _name(value: object) -> str | None:
    """Return an id that is a text or a number; None for anything else, an empty text included."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip() or None
