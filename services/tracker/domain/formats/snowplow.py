"""The tracker protocol of Snowplow: payload_data by POST, or one event as the query of a pixel.

https://docs.snowplow.io/docs/events/going-deeper/http-protocol/ and …/docs/events/ootb-data/ecommerce-events/
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from services.tracker.domain.documents import InvalidJson, parse_document
from services.tracker.domain.formats.segment import OptionalName
from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.outcomes import AcceptedCall, Ignored, Rejected
from services.tracker.domain.tracking_calls import CallKind, TrackingCall, parse_tracking_call
from services.tracker.domain.wire_format import ClientRequest, ClientRoute, Upload
from shared.errors import Permanent

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_DIGITS: Final = 14
"""Digits of milliseconds since 1970, up to the year 5138."""

_ACTIONS: Final[Mapping[str, str]] = {
    "product_view": "product_view",
    "list_click": "select_item",
    "transaction": "purchase",
    "promo_view": "view_promotion",
    "promo_click": "select_promotion",
}
"""Types of Snowplow's e-commerce actions whose names differ from those of other formats."""

_SCHEMA_EVENTS: Final[Mapping[str, str]] = {"site_search": "search", "screen_view": "screen"}
"""Names of Snowplow's own schemas, and of the events that they are."""


class SnowplowEvent(BaseModel):
    """An event, with the names of the protocol. `aid`, the app id, is the key unless a header has it.

    `e` is its kind: `pv` a page view, `se` a structured event whose action names what happened, `ue` an event
    described by a schema (in `ue_pr`, or in `ue_px` as base64) with entities (`co`, `cx`), `ti` an item of an
    order. Others are ignored. `uid` is the user; the session is the domain user id `duid`.
    """

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    e: str
    aid: str | None = None
    eid: OptionalName = None
    uid: OptionalName = None
    duid: OptionalName = None
    nuid: OptionalName = None
    tnuid: OptionalName = None
    sid: OptionalName = None
    dtm: str | None = Field(None, description="time of the event in milliseconds since 1970, by its device")
    stm: str | None = Field(None, description="time of the request by the same clock")
    ttm: str | None = Field(None, description="true time of the event, which is not corrected")
    url: str | None = None
    page: str | None = None
    refr: str | None = None
    se_ca: str | None = None
    se_ac: str | None = None
    se_la: str | None = None
    se_pr: str | None = None
    se_va: str | None = None
    ue_pr: str | None = None
    ue_px: str | None = None
    co: str | None = None
    cx: str | None = None
    ti_id: str | None = None
    ti_sk: str | None = None
    ti_nm: str | None = None
    ti_ca: str | None = None
    ti_pr: str | None = None
    ti_qu: str | None = None
    ti_cu: str | None = None


class SnowplowPayload(BaseModel):
    """Events of a Snowplow tracker."""

    schema_: str | None = Field(None, alias="schema", description="the schema payload_data of any version")
    data: list[SnowplowEvent] = Field(min_length=1)


_Entities = Mapping[str, Sequence[Mapping[str, Any]]]
"""The data of entities by the name of their schema."""


def parse_snowplow(record: Mapping[str, Any], context: IngestContext) -> AcceptedCall | Ignored | Rejected:
    """Return the events of an event. Raises pydantic's ValidationError for a member of a wrong type."""
    event = SnowplowEvent.model_validate(record)
    try:
        entities = _entities(_unwrapped(event.co, event.cx))
        described = _described(event, entities)
    except (InvalidJson, binascii.Error, ValueError) as error:
        return Rejected(f"The event or its entities are no JSON: {error}.", event.eid)
    if isinstance(described, Ignored):
        return described
    kind, name, properties = described
    mobile = next(iter(entities.get("client_session", ())), {})
    call = TrackingCall(
        kind=kind,
        source="snowplow",
        user_id=event.uid,
        session_id=event.duid or _text(mobile.get("userId")) or event.tnuid or event.nuid or event.sid,
        event=name,
        message_id=event.eid,
        claimed=_time(event.ttm) or _time(event.dtm),
        sent_at=None if event.ttm else _time(event.stm),
        properties=properties,
    )
    return parse_tracking_call(call, context)


def _described(
    event: SnowplowEvent, entities: _Entities
) -> tuple[CallKind, str | None, dict[str, Any]] | Ignored:
    """Return the kind of call, what happened, and its properties."""
    match event.e:
        case "pv":
            page = {"name": event.page, "url": event.url, "referrer": event.refr}
            return "page", None, _present(page)
        case "se":
            structured = {
                "category": event.se_ca,
                "label": event.se_la,
                "property": event.se_pr,
                "value": event.se_va,
                # The label names the object of the action.
                "item_id": event.se_la,
            }
            return "track", event.se_ac, _present(structured)
        case "ue":
            return _self_describing(event, entities)
        case "ti":
            item = {
                "order_id": event.ti_id,
                "sku": event.ti_sk,
                "name": event.ti_nm,
                "category": event.ti_ca,
                "price": event.ti_pr,
                "quantity": event.ti_qu,
                "currency": event.ti_cu,
            }
            return "track", "purchase", _present(item)
        case "tr":
            return Ignored("The items of a transaction are its purchases; the sum is not stored.", event.eid)
    return Ignored(f"An event of the kind {event.e!r} is about no item and no page.", event.eid)


def _self_describing(
    event: SnowplowEvent, entities: _Entities
) -> tuple[CallKind, str | None, dict[str, Any]] | Ignored:
    """Return what an event with a schema is about; e-commerce actions have their products as entities."""
    document = _unwrapped(event.ue_pr, event.ue_px)
    inner = document.get("data") if isinstance(document, dict) else None
    data = inner.get("data") if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or not isinstance(data, dict):
        return Ignored("The event describes nothing.", event.eid)
    name = _schema_name(inner)
    if name != "snowplow_ecommerce_action":
        own = dict(data)
        if "unitPrice" in own:
            own["price"] = own.pop("unitPrice")
        is_screen = name == "screen_view"
        return "screen" if is_screen else "track", _SCHEMA_EVENTS.get(name, name), own
    action = str(data.get("type"))
    properties: dict[str, Any] = {key: value for key, value in data.items() if key != "type"}
    products = [dict(product) for product in entities.get("product", ())]
    if products:
        properties["products"] = products
    for transaction in (*entities.get("transaction", ()), *entities.get("refund", ())):
        properties |= {key: value for key, value in transaction.items() if key != "transaction_id"}
        properties["order_id"] = transaction.get("transaction_id")
    return "track", _ACTIONS.get(action, action), properties


def _unwrapped(text: str | None, encoded: str | None) -> Any:
    """Return JSON that is given as text, or as base64 of the URL alphabet with or without padding."""
    if text:
        return parse_document(text.encode())
    if not encoded:
        return None
    data = encoded.replace("-", "+").replace("_", "/")
    return parse_document(base64.b64decode(data + "=" * (-len(data) % 4), validate=True))


def _entities(document: Any) -> dict[str, list[Mapping[str, Any]]]:
    entities: dict[str, list[Mapping[str, Any]]] = {}
    for entity in _objects(document):
        entities.setdefault(_schema_name(entity), []).append(entity["data"])
    return entities


def _objects(document: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the entities of a `contexts` document that have a schema and an object as data."""
    members = document.get("data") if isinstance(document, dict) else None
    for entity in members if isinstance(members, list) else ():
        if isinstance(entity, dict) and isinstance(entity.get("data"), dict):
            yield entity


def _schema_name(described: Mapping[str, Any]) -> str:
    """Return the name in a schema `iglu:vendor/name/format/version`."""
    parts = str(described.get("schema", "")).removeprefix("iglu:").split("/")
    return parts[1] if len(parts) > 1 else ""


def _present(properties: Mapping[str, str | None]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _time(milliseconds: str | None) -> datetime | None:
    """Return a time; None for a text that is not a number of milliseconds."""
    if not milliseconds or not milliseconds.isdecimal() or len(milliseconds) > _MOST_DIGITS:
        return None
    return _EPOCH + timedelta(milliseconds=int(milliseconds))


def _read_payload(request: ClientRequest) -> Upload:
    document = request.document()
    events = document.get("data") if isinstance(document, dict) else None
    if not isinstance(events, list):
        message = 'The body must be {"schema": "iglu:…/payload_data/…", "data": [{"e": "pv", …}]}.'
        raise Permanent(message)
    app_id = events[0].get("aid") if events and isinstance(events[0], dict) else None
    return Upload(events, app_id if isinstance(app_id, str) and app_id else None)


def _read_pixel(request: ClientRequest) -> Upload:
    return Upload([dict(request.query)])


ROUTES: Final = (
    ClientRoute(
        path="/com.snowplowanalytics.snowplow/tp2",
        operation_id="snowplowPost",
        summary="Record events of a Snowplow tracker",
        tag="Snowplow",
        source="snowplow",
        schema=SnowplowPayload,
        read=_read_payload,
        parse=parse_snowplow,
        key_in_body=True,
    ),
    ClientRoute(
        path="/i",
        operation_id="snowplowPixel",
        summary="Record an event of a Snowplow tracker; the answer is a picture of one pixel",
        tag="Snowplow",
        source="snowplow",
        schema=SnowplowEvent,
        read=_read_pixel,
        parse=parse_snowplow,
        method="GET",
        key_parameters=("aid",),
        reply="pixel",
    ),
)
