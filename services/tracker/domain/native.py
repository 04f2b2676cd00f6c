"""Endcap's own format: flat JSON events that take the names which storefronts already use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import orjson
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from services.tracker.domain import calls
from services.tracker.domain.reception import MAX_DEPTH, Reception, Rejected, nests_too_deep, with_adjustment
from shared.events import InteractionRecorded, canonical_type
from shared.events.values import Document, Name, Number, Text

MAX_IMPRESSION = 500
"""Items that one event may say were shown: as many as one answer of recommendations can hold."""


def _also(*names: str) -> Any:
    return Field(None, validation_alias=AliasChoices(*names))


class NativeEvent(BaseModel):
    """What a user did. Either `user_id` or `session_id` is needed, and `event_type`.

    Fields that are not listed are kept in `properties`. `timestamp` is ISO 8601 or seconds or milliseconds
    since 1970; `historical` marks a replay of the past, which needs no user's attention now. Of events
    without an id that have the same timestamp and say the same, one is kept.
    """

    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)

    event_id: Name | None = _also("event_id", "id", "messageId", "eventId")
    user_id: Name | None = _also("user_id", "userId")
    session_id: Name | None = _also("session_id", "sessionId", "anonymousId")
    event_type: Name = Field(validation_alias=AliasChoices("event_type", "type", "event", "eventType"))
    item_id: Name | None = _also("item_id", "itemId", "productId", "product_id")
    value: Number | None = None
    price: Number | None = None
    quantity: Number | None = None
    order_id: Name | None = _also("order_id", "orderId")
    timestamp: datetime | None = None
    properties: Document | None = None
    recommendation_id: Name | None = _also("recommendation_id", "recommendationId")
    impression: Annotated[tuple[Name, ...], Field(max_length=MAX_IMPRESSION)] | None = None
    city: Text | None = None
    province: Text | None = None
    country: Text | None = None
    historical: bool = False


Outcome = InteractionRecorded | calls.Lines | calls.Ignored | Rejected
"""What becomes of one event of a request."""


def interactions(events: Sequence[Any], reception: Reception, *, most_bytes: int | None) -> list[Outcome]:
    """Return each event as an interaction, a call as what it says, or why it is none.

    `most_bytes` bounds one event; None where the whole request is no larger than that.
    """
    outcomes: list[Outcome] = []
    lines = 0
    for event in events:
        outcome = _one(event, reception, most_bytes)
        if isinstance(outcome, calls.Lines):
            lines += len(outcome.events)
            if lines > calls.MAX_LINES:
                reason = (
                    f"The products of a request are more than {calls.MAX_LINES:,}. Send fewer calls in one."
                )
                outcome = Rejected(reason, outcome.id)
        outcomes.append(outcome)
    return outcomes


def _one(event: Any, reception: Reception, most_bytes: int | None) -> Outcome:
    if not isinstance(event, dict):
        return event if isinstance(event, Rejected) else Rejected("An event is a JSON object.")
    try:
        if most_bytes is not None and len(orjson.dumps(event)) > most_bytes:
            return Rejected(f"The event is larger than {most_bytes} bytes.", _id_of(event))
        if calls.is_call(event):
            return calls.recorded(event, reception)
        return _interaction(NativeEvent.model_validate(event), reception)
    except ValidationError as error:
        return Rejected(what_is_wrong(error), _id_of(event))
    except (ValueError, TypeError) as error:  # a lone surrogate, or nesting that orjson can't write
        return Rejected(f"The event can't be written as JSON: {error}.", _id_of(event))


def _interaction(event: NativeEvent, reception: Reception) -> InteractionRecorded | Rejected:
    if event.user_id is None and event.session_id is None:
        return Rejected("An event needs user_id or session_id.", event.event_id)
    occurred_at, claimed = reception.moment(event.timestamp)
    properties = event.properties
    if event.model_extra:
        properties = {**event.model_extra, **(properties or {})}
    if properties and nests_too_deep(properties):
        return Rejected(f"The properties are nested deeper than {MAX_DEPTH} levels.", event.event_id)
    event_type = canonical_type(event.event_type)
    event_id = event.event_id
    if event_id is None:
        if event_type == "purchase" and event.order_id is not None and event.item_id is not None:
            event_id = reception.order_line_id(event.order_id, event.item_id)
        else:
            event_id = reception.event_id(event.timestamp, *_said(event, event_type, properties))
    return InteractionRecorded(
        event_id=event_id,
        tenant=reception.tenant,
        occurred_at=occurred_at,
        received_at=reception.received_at,
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
        properties=with_adjustment(properties, claimed),
        city=event.city,
        province=event.province,
        country=event.country,
        source="events",
        historical=event.historical,
    )


def _said(event: NativeEvent, event_type: str, properties: dict[str, Any] | None) -> tuple[object, ...]:
    """Return what makes two events different, but for tenant and time."""
    return (
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


def what_is_wrong(error: ValidationError) -> str:
    """The first problems of an event, each with the field that it is about."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems[:3])


def _id_of(event: dict[str, Any]) -> str | None:
    """The sender's id of an event that is not valid, so that the answer can name it."""
    for name in ("event_id", "id", "messageId", "eventId"):
        found = event.get(name)
        if isinstance(found, str | int) and len(str(found)) <= 256:
            return str(found).encode(errors="replace").decode()
    return None
