"""PutEvents, PutItems and PutUsers as interactions and puts."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from services.tracker.domain.columns import Columns, Kind, Record, without_schema
from services.tracker.domain.numbers import BeyondLimits, parse_number
from services.tracker.domain.reception import MAX_DEPTH, Reception, nests_too_deep, with_adjustment
from shared.aws import invalid_input
from shared.aws.personalize.events import (
    PutEvent,
    PutEventsRequest,
    PutItemsRequest,
    PutUsersRequest,
    properties,
)
from shared.errors import Permanent
from shared.events import InteractionRecorded, ItemPut, UserPut, canonical_type, derived_id
from shared.events.fields import check_sizes
from shared.events.values import LONGEST_ID

_NOISE = re.compile(r"[^a-z0-9]")


def interactions(request: PutEventsRequest, reception: Reception) -> list[InteractionRecorded]:
    """Return each event as an interaction.

    The id of an event without one is made of all that it says: of events with the same timestamp and
    identical properties one is kept, as in Amazon Personalize, in whichever calls they come.
    """
    return [_interaction(request, event, reception) for event in request.event_list]


def item_puts(
    request: PutItemsRequest, reception: Reception, invocation_id: str | None, columns: Columns | None
) -> list[ItemPut]:
    """Return each item as the record that it becomes in the dataset with these columns.

    Without `columns` the dataset says nothing of what may be put. InvalidInputException for a property that
    neither a column nor a field of the shop's can hold.
    """
    return [
        ItemPut(
            event_id=_id(reception, invocation_id, index),
            tenant=reception.tenant,
            occurred_at=reception.received_at,
            item_id=item.item_id,
            **_record("item", item.properties, columns, f"items.{index}")._asdict(),
        )
        for index, item in enumerate(request.items)
    ]


def user_puts(
    request: PutUsersRequest, reception: Reception, invocation_id: str | None, columns: Columns | None
) -> list[UserPut]:
    """Return each user as the record that they become in the dataset; as `item_puts`."""
    return [
        UserPut(
            event_id=_id(reception, invocation_id, index),
            tenant=reception.tenant,
            occurred_at=reception.received_at,
            user_id=user.user_id,
            **_record("user", user.properties, columns, f"users.{index}")._asdict(),
        )
        for index, user in enumerate(request.users)
    ]


def _id(reception: Reception, invocation_id: str | None, index: int) -> str:
    """Return the id of a put: the same for every attempt that an AWS SDK makes at a call."""
    if invocation_id is None:
        return reception.new_id()
    return derived_id(reception.tenant, invocation_id, index)


def _interaction(request: PutEventsRequest, event: PutEvent, reception: Reception) -> InteractionRecorded:
    occurred_at, claimed = reception.moment(event.sent_at)
    document = _document(event.properties)
    inside = _inside(document) if document else _NOTHING
    attribution = event.metric_attribution
    attribution_source = attribution.event_attribution_source if attribution else None
    event_type, item_id = canonical_type(event.event_type), event.item_id or inside.item_id
    value = event.event_value if event.event_value is not None else inside.value
    return InteractionRecorded(
        event_id=event.event_id
        or reception.event_id(
            event.sent_at,
            request.user_id,
            request.session_id,
            event_type,
            item_id,
            value,
            event.recommendation_id,
            event.impression,
            attribution_source,
            document,
        ),
        tenant=reception.tenant,
        occurred_at=occurred_at,
        received_at=reception.received_at,
        user_id=request.user_id,
        session_id=request.session_id,
        event_type=event_type,
        sender_type=event.event_type,
        item_id=item_id,
        value=value,
        quantity=inside.quantity,
        price=inside.price,
        order_id=inside.order_id,
        recommendation_id=event.recommendation_id,
        impression=event.impression,
        attribution_source=attribution_source,
        properties=with_adjustment(document, claimed),
        source="personalize",
    )


class _Inside(NamedTuple):
    """What an event says among its properties, in whatever spelling."""

    item_id: str | None
    value: float | None
    quantity: float | None
    price: float | None
    order_id: str | None


_NOTHING = _Inside(None, None, None, None, None)


def _inside(document: dict[str, Any]) -> _Inside:
    """Item and value are taken out of the properties, the others stay there too.

    Half of the programs in the wild send these two inside the properties: both ways give the same event.
    """
    by_name = {_NOISE.sub("", name.lower()): name for name in document}
    return _Inside(
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


def _record(kind: Kind, text: str | None, columns: Columns | None, place: str) -> Record:
    """Return the properties of an item or a user as a record, every value of which sync will take."""
    document = _document(text)
    try:
        check_sizes(document)
        return columns.record(document) if columns is not None else without_schema(kind, document)
    except Permanent as error:
        raise invalid_input(f"{place}.properties: {error}.") from None


def _name(value: object) -> str | None:
    """An id that came among the properties, also as a number; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value)
    return text if 1 <= len(text) <= LONGEST_ID and "\x00" not in text else None


def _number(value: object) -> float | None:
    """Parse a number; InvalidInputException for one beyond what intake accepts."""
    try:
        return parse_number(value)
    except BeyondLimits as error:
        raise invalid_input(f"properties: {error}") from None
