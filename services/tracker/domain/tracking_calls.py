"""The normal form of the calls that tracking SDKs send, and the interactions that it becomes.

Each wire format of a vendor translates its events to `TrackingCall`; the rules that all of them share are
here: which property names the item, how an order becomes one event for each line, and which id an event has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from services.tracker.domain.event_ids import numbered_id
from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.interactions import interaction
from services.tracker.domain.numbers import TEXT_OR_NUMBER, NumberOutOfRange, parse_number
from services.tracker.domain.outcomes import AcceptedCall, Ignored, Rejected
from services.tracker.domain.properties import MAX_DEPTH, nests_too_deep, with_claimed_time
from shared.events import OrderLine, line_id
from shared.events.field_aliases import normalized_name
from shared.events.interactions import Source

MAX_PRODUCTS: Final = 500
"""Products of one call: as many as the lines of a purchase in `track/purchase`. Arbitrary."""

CallKind = Literal["track", "page", "screen", "identify", "alias"]

_SHORT_NAME: Final = 64
"""Characters of the names of properties that are remembered; arbitrary."""

_ITEM_NAMES = ("productid", "itemid", "sku")
_PRODUCT_ITEM_NAMES = (*_ITEM_NAMES, "id")
_VALUE_NAMES = ("value",)
_ORDER_VALUE_NAMES = ("value", "revenue", "total")
_ITEM_EVENT_TYPES = frozenset({"view", "click", "add_to_cart", "remove_from_cart", "wishlist"})
"""Event types that are rejected without an item."""


class TrackingCall(NamedTuple):
    """A call of a tracking SDK.

    `track` is an event: `event` names it, and `properties` contain the item (`product_id`, `item_id` or
    `sku`), `price`, `quantity`, `value` and `order_id`; each of its `products` becomes an event. `page` and
    `screen` are events of these names. `identify` and `alias` tie the session (an anonymous or a previous id)
    to the user.

    `message_id` is the sender's id. `claimed` is the time of the event by the sender's clock, and `sent_at`
    the time of the request by the same clock.
    """

    kind: CallKind
    source: Source
    user_id: str | None
    session_id: str | None
    event: str | None = None
    message_id: str | None = None
    claimed: datetime | None = None
    sent_at: datetime | None = None
    properties: Mapping[str, Any] = MappingProxyType({})
    historical: bool = False


def parse_tracking_call(call: TrackingCall, context: IngestContext) -> AcceptedCall | Ignored | Rejected:
    """Return the events of a call. Raises pydantic's ValidationError for a value that cannot be stored."""
    if call.user_id is None and call.session_id is None:
        return Rejected(f"A {call.kind} call needs userId or anonymousId.", call.message_id)
    if call.kind in {"identify", "alias"}:
        return _parse_identity(call, context)
    properties = dict(call.properties)
    if nests_too_deep(properties):
        return Rejected(f"The properties are nested deeper than {MAX_DEPTH} levels.", call.message_id)
    try:
        if call.kind == "track":
            return _parse_track(call, properties, context)
        fields = [_read_fields(properties, _ITEM_NAMES)]
    except NumberOutOfRange as error:
        return Rejected(f"properties: {error}.", call.message_id)
    return _accept(call, call.kind, call.kind, fields, context)


def _parse_identity(call: TrackingCall, context: IngestContext) -> AcceptedCall | Ignored:
    """Return the event that links a session to a user."""
    if call.user_id is None or call.session_id is None or call.user_id == call.session_id:
        id_name = "previousId" if call.kind == "alias" else "anonymousId"
        reason = f"The {call.kind} call links no session to a user: it needs userId and {id_name}."
        return Ignored(reason, call.message_id)
    return _accept(call, call.kind, call.kind, [_Fields()], context)


def _parse_track(
    call: TrackingCall, properties: dict[str, Any], context: IngestContext
) -> AcceptedCall | Rejected:
    """Return the event of a track call, or one event for each of its products."""
    sender_type = call.event
    if sender_type is None:
        return Rejected("A track call needs `event`, which names what happened.", call.message_id)
    event_type = context.canonical_type(sender_type)
    products = properties.get("products")
    if isinstance(products, list) and products:
        problem = _products_problem(products)
        if problem is not None:
            return Rejected(problem, call.message_id)
        lines = _read_products(properties, products)
        needs_item, place = True, "each entry of properties.products"
    else:
        value_names = _ORDER_VALUE_NAMES if event_type == "purchase" else _VALUE_NAMES
        lines = [_read_fields(properties, _ITEM_NAMES, value_names)]
        needs_item, place = event_type in _ITEM_EVENT_TYPES, "properties"
    if needs_item and any(line.item_id is None for line in lines):
        return Rejected(f"{sender_type} needs product_id, item_id or sku in {place}.", call.message_id)
    return _accept(call, event_type, sender_type, lines, context)


def _products_problem(products: list[Any]) -> str | None:
    """Return the reason to reject a call because of its products, or None."""
    if len(products) > MAX_PRODUCTS:
        return f"properties.products has {len(products)} entries; {MAX_PRODUCTS} are allowed."
    if not all(isinstance(product, dict) for product in products):
        return "Each entry of properties.products must be an object."
    return None


class _Fields(NamedTuple):
    """The fields of an event that are read from the properties of a call, or from one of its products."""

    item_id: str | None = None
    value: float | None = None
    price: float | None = None
    quantity: float | None = None
    order_id: str | None = None
    recommendation_id: str | None = None
    properties: dict[str, Any] | None = None


def _read_products(properties: dict[str, Any], products: list[dict[str, Any]]) -> list[_Fields]:
    """Return the fields of each product, with the order id and currency of the call.

    The other properties of the order are left out: a copy in each line would multiply the request.
    """
    order = _read_fields({name: value for name, value in properties.items() if name != "products"}, (), ())
    currency = {"currency": properties["currency"]} if isinstance(properties.get("currency"), str) else {}
    return [_read_fields({**currency, **product}, _PRODUCT_ITEM_NAMES, order=order) for product in products]


def _read_fields(
    properties: dict[str, Any],
    item_names: tuple[str, ...],
    value_names: tuple[str, ...] = _VALUE_NAMES,
    order: _Fields | None = None,
) -> _Fields:
    """Read fields from properties; `product_id`, `productId` and `Product ID` are the same name.

    The ids of the order and of the recommendation are those of `order`, if the properties are of its product.
    """
    # Short names, which repeat, are remembered.
    by_name = {
        (_normalized_short if len(name) <= _SHORT_NAME else normalized_name)(name): value
        for name, value in properties.items()
    }
    return _Fields(
        _first_id(by_name, item_names),
        _first_number(by_name, value_names),
        parse_number(by_name["price"]) if "price" in by_name else None,
        parse_number(by_name["quantity"]) if "quantity" in by_name else None,
        order.order_id if order else _id(by_name.get("orderid")),
        order.recommendation_id if order else _id(by_name.get("recommendationid")),
        properties or None,
    )


_normalized_short = lru_cache(4_096)(normalized_name)


def _first_id(by_name: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        if name in by_name and (item_id := _id(by_name[name])):
            return item_id
    return None


def _first_number(by_name: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    for name in names:
        if name in by_name and (number := parse_number(by_name[name])) is not None:
            return number
    return None


def _accept(
    call: TrackingCall, event_type: str, sender_type: str, lines: list[_Fields], context: IngestContext
) -> AcceptedCall:
    occurred_at, changed_from = context.event_time(call.claimed, call.sent_at)
    order_lines: Counter[str] = Counter()
    count = len(lines)
    events = [
        interaction(
            event_id=_event_id(call, event_type, fields, number, count, order_lines, context),
            tenant=context.tenant,
            occurred_at=occurred_at,
            received_at=context.received_at,
            user_id=call.user_id,
            session_id=call.session_id,
            event_type=event_type,
            sender_type=sender_type,
            item_id=fields.item_id,
            value=fields.value,
            price=fields.price,
            quantity=fields.quantity,
            order_id=fields.order_id,
            recommendation_id=fields.recommendation_id,
            properties=with_claimed_time(fields.properties, changed_from),
            source=call.source,
            historical=call.historical,
        )
        for number, fields in enumerate(lines, 1)
    ]
    return AcceptedCall(call.message_id or events[0].event_id, tuple(events))


def _event_id(
    call: TrackingCall,
    event_type: str,
    fields: _Fields,
    number: int,
    count: int,
    order_lines: Counter[str],
    context: IngestContext,
) -> str:
    """Return the id of the `number`-th of `count` events of a call.

    A purchased line has the id that the shop's order gives it. Its lines are counted within the call, since
    the same order in another call of the request is not a second order.
    """
    if event_type == "purchase" and fields.order_id is not None and fields.item_id is not None:
        order_lines[fields.item_id] += 1
        line = OrderLine(item_id=fields.item_id, n=order_lines[fields.item_id])
        return line_id(context.tenant, fields.order_id, line, "purchase")
    if call.message_id is not None:
        return call.message_id if count == 1 else numbered_id(context.tenant, call.message_id, number)
    content = (call.user_id, call.session_id, event_type, number, *fields)
    return context.event_id(call.claimed, *content)


def _id(value: object) -> str | None:
    """Return an id that is a text or a number; None for any other value, also for an empty text."""
    if type(value) not in TEXT_OR_NUMBER:
        return None
    return str(value).strip() or None
