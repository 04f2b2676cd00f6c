"""Endcap's own format: flat JSON events that accept the field names which storefronts already use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.interactions import interaction
from services.tracker.domain.outcomes import Rejected
from services.tracker.domain.properties import MAX_DEPTH, nests_too_deep, with_claimed_time
from services.tracker.domain.wire_format import EventFormat
from shared.events import InteractionRecorded
from shared.events.values import Name, Number, Text

MAX_IMPRESSION = 500
"""Items that one event may list as shown: as many as one response with recommendations can have."""


def _aliases(*names: str) -> Any:
    return Field(None, validation_alias=AliasChoices(*names))


class NativeEvent(BaseModel):
    """One action of a user. Needs `event_type`, and `user_id` or `session_id`.

    Fields that are not listed here are stored in `properties`. `timestamp` is ISO 8601, or seconds or
    milliseconds since 1970. `historical` marks a replay of past events. Of events without an id that have the
    same timestamp and content, one is stored.
    """

    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)

    event_id: Name | None = _aliases("event_id", "id", "messageId", "eventId")
    user_id: Name | None = _aliases("user_id", "userId")
    session_id: Name | None = _aliases("session_id", "sessionId", "anonymousId")
    event_type: Name = Field(validation_alias=AliasChoices("event_type", "type", "event", "eventType"))
    item_id: Name | None = _aliases("item_id", "itemId", "productId", "product_id")
    value: Number | None = None
    price: Number | None = None
    quantity: Number | None = None
    order_id: Name | None = _aliases("order_id", "orderId")
    timestamp: datetime | None = None
    properties: dict[str, Any] | None = None
    recommendation_id: Name | None = _aliases("recommendation_id", "recommendationId")
    impression: Annotated[tuple[Name, ...], Field(max_length=MAX_IMPRESSION)] | None = None
    city: Text | None = None
    province: Text | None = None
    country: Text | None = None
    historical: bool = False


def parse_native(event: Mapping[str, Any], context: IngestContext) -> InteractionRecorded | Rejected:
    """Return the interaction of an event. Raises pydantic's ValidationError for an invalid field."""
    return _interaction(NativeEvent.model_validate(event), context)


def _interaction(event: NativeEvent, context: IngestContext) -> InteractionRecorded | Rejected:
    if event.user_id is None and event.session_id is None:
        return Rejected("An event needs user_id or session_id.", event.event_id)
    properties = event.properties
    if event.model_extra:
        properties = {**event.model_extra, **(properties or {})}
    if properties and nests_too_deep(properties):
        return Rejected(f"The properties are nested deeper than {MAX_DEPTH} levels.", event.event_id)
    occurred_at, changed_from = context.event_time(event.timestamp)
    event_type = context.canonical_type(event.event_type)
    return interaction(
        event_id=event.event_id or _event_id(event, event_type, properties, context),
        tenant=context.tenant,
        occurred_at=occurred_at,
        received_at=context.received_at,
        user_id=event.user_id,
        session_id=event.session_id,
        event_type=event_type,
        sender_type=event.event_type,
        item_id=event.item_id,
        value=event.value,
        quantity=event.quantity,
        price=event.price,
        order_id=event.order_id,
        recommendation_id=event.recommendation_id,
        impression=event.impression,
        properties=with_claimed_time(properties, changed_from),
        city=event.city,
        province=event.province,
        country=event.country,
        source="events",
        historical=event.historical,
    )


def _event_id(
    event: NativeEvent, event_type: str, properties: dict[str, Any] | None, context: IngestContext
) -> str:
    """Return the id of an event without one: that of its order line, else one of its time and content."""
    if event_type == "purchase" and event.order_id is not None and event.item_id is not None:
        return context.order_line_id(event.order_id, event.item_id)
    return context.event_id(
        event.timestamp,
        event.user_id,
        event.session_id,
        event_type,
        event.item_id,
        event.value,
        event.quantity,
        event.price,
        event.order_id,
        event.recommendation_id,
        event.impression,
        properties or None,
        event.city,
        event.province,
        event.country,
    )


FORMAT = EventFormat(NativeEvent, lambda _: True, parse_native)
