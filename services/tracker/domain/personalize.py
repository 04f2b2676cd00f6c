"""Convert PutEvents into interactions, and PutItems and PutUsers into records of datasets."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from services.tracker.domain.dataset_schema import DatasetSchema, Kind, Record, record_without_schema
from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.interactions import interaction
from services.tracker.domain.numbers import TEXT_OR_NUMBER, NumberOutOfRange, parse_number
from services.tracker.domain.properties import MAX_DEPTH, nests_too_deep, with_claimed_time
from shared.aws import invalid_input
from shared.aws.personalize.events import (
    PutEvent,
    PutEventsRequest,
    PutItemsRequest,
    PutUsersRequest,
    properties,
)
from shared.errors import Permanent
from shared.events import InteractionRecorded, ItemPut, UserPut, derived_id
from shared.events.fields import check_sizes
from shared.events.values import LONGEST_ID

_PUNCTUATION = re.compile(r"[^a-z0-9]")


def interactions(request: PutEventsRequest, context: IngestContext) -> list[InteractionRecorded]:
    """Return the interactions of a request. Raises WireError InvalidInputException, or ValidationError.

    An event without an id gets one that depends on its time and content: of events with the same timestamp
    and identical properties one is stored, as in Amazon Personalize, also when they are in different calls.
    """
    return [_interaction(request, event, context) for event in request.event_list]


def item_puts(
    request: PutItemsRequest, context: IngestContext, invocation_id: str | None, schema: DatasetSchema | None
) -> list[ItemPut]:
    """Return the record of each item in a dataset with this schema; without a schema any property is valid.

    Raises WireError InvalidInputException for a property that fits neither a column nor a field of the shop.
    """
    return [
        ItemPut(
            event_id=_id(context, invocation_id, index),
            tenant=context.tenant,
            occurred_at=context.received_at,
            item_id=item.item_id,
            **_record("item", item.properties, schema, f"items.{index}")._asdict(),
        )
        for index, item in enumerate(request.items)
    ]


def user_puts(
    request: PutUsersRequest, context: IngestContext, invocation_id: str | None, schema: DatasetSchema | None
) -> list[UserPut]:
    """Return the record of each user in a dataset with this schema. Raises WireError, as `item_puts`."""
    return [
        UserPut(
            event_id=_id(context, invocation_id, index),
            tenant=context.tenant,
            occurred_at=context.received_at,
            user_id=user.user_id,
            **_record("user", user.properties, schema, f"users.{index}")._asdict(),
        )
        for index, user in enumerate(request.users)
    ]


def _id(context: IngestContext, invocation_id: str | None, index: int) -> str:
    """Return the id of a put: the same for every attempt that an AWS SDK makes at a call."""
    if invocation_id is None:
        return context.new_id()
    return derived_id(context.tenant, invocation_id, index)


def _interaction(request: PutEventsRequest, event: PutEvent, context: IngestContext) -> InteractionRecorded:
    occurred_at, changed_from = context.event_time(event.sent_at)
    document = _document(event.properties)
    fields = _take_fields(document) if document else _NO_FIELDS
    attribution = event.metric_attribution
    attribution_source = attribution.event_attribution_source if attribution else None
    event_type, item_id = context.canonical_type(event.event_type), event.item_id or fields.item_id
    value = event.event_value if event.event_value is not None else fields.value
    content = (
        *(request.user_id, request.session_id, event_type, item_id, value),
        *(event.recommendation_id, event.impression, attribution_source, document),
    )
    return interaction(
        event_id=event.event_id or context.event_id(event.sent_at, *content),
        tenant=context.tenant,
        occurred_at=occurred_at,
        received_at=context.received_at,
        user_id=request.user_id,
        session_id=request.session_id,
        event_type=event_type,
        sender_type=event.event_type,
        item_id=item_id,
        value=value,
        quantity=fields.quantity,
        price=fields.price,
        order_id=fields.order_id,
        recommendation_id=event.recommendation_id,
        impression=event.impression,
        attribution_source=attribution_source,
        properties=with_claimed_time(document, changed_from),
        source="personalize",
    )


class _Fields(NamedTuple):
    """Fields of an event that are read from its properties."""

    item_id: str | None
    value: float | None
    quantity: float | None
    price: float | None
    order_id: str | None


_NO_FIELDS = _Fields(None, None, None, None, None)


def _take_fields(document: dict[str, Any]) -> _Fields:
    """Remove the item and the value from the properties and return them with the other fields.

    Many programs send these two among the properties instead of as members of the event: both ways give the
    same event. Names are compared without case and punctuation.
    """
    by_name = {_PUNCTUATION.sub("", name.lower()): name for name in document}
    return _Fields(
        _name(document.pop(by_name["itemid"])) if "itemid" in by_name else None,
        _number(document.pop(by_name["eventvalue"])) if "eventvalue" in by_name else None,
        _number(document.get(by_name.get("quantity", ""))),
        _number(document.get(by_name.get("price", ""))),
        _name(document.get(by_name.get("orderid", ""))),
    )


def _document(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    document = properties(text)
    if nests_too_deep(document):
        raise invalid_input(f"properties: nested deeper than {MAX_DEPTH} levels")
    return document


def _record(kind: Kind, text: str | None, schema: DatasetSchema | None, place: str) -> Record:
    """Return the record of an item or user; sync accepts every value of it."""
    document = _document(text)
    try:
        check_sizes(document)
        return schema.record(document) if schema is not None else record_without_schema(kind, document)
    except Permanent as error:
        raise invalid_input(f"{place}.properties: {error}.") from None


def _name(value: object) -> str | None:
    """Return an id from the properties, also if it is a number; None for a value that is not an id."""
    if type(value) not in TEXT_OR_NUMBER:
        return None
    text = str(value)
    return text if 1 <= len(text) <= LONGEST_ID and "\x00" not in text else None


def _number(value: object) -> float | None:
    """Return a number from the properties. Raises InvalidInputException for one that is too large."""
    try:
        return parse_number(value)
    except NumberOutOfRange as error:
        raise invalid_input(f"properties: {error}") from None
