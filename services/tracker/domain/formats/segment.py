"""Calls of Segment and RudderStack: `type` is the kind of call, `event` names what happened.

https://segment.com/docs/connections/spec/, …/spec/ecommerce/v2/ and
…/sources/catalog/libraries/server/http-api/
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, cast

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.outcomes import AcceptedCall, Ignored, Rejected
from services.tracker.domain.tracking_calls import MAX_PRODUCTS, CallKind, TrackingCall, parse_tracking_call
from services.tracker.domain.wire_format import ClientRequest, ClientRoute, EventFormat, Upload
from shared.errors import Permanent
from shared.events.values import Name

__all__ = ["CALL_TYPES", "FORMAT", "MAX_PRODUCTS", "ROUTES", "Call", "parse_call"]

CALL_TYPES = frozenset({"track", "page", "screen", "identify", "alias", "group"})

_TRACK_MEMBERS = frozenset(
    (
        *("event", "properties", "userId", "anonymousId", "messageId", "timestamp", "originalTimestamp"),
        *("sentAt", "receivedAt", "context", "integrations", "channel", "version", "writeKey", "rudderId"),
    )
)
"""Members of a track call without `type`, as SDKs send it to an endpoint for track calls alone."""


def _empty_as_none(value: object) -> object:
    """Return None for an empty string: RudderStack sends an empty userId before login."""
    return None if value == "" else value


OptionalName = Annotated[Name | None, BeforeValidator(_empty_as_none)]


class Call(BaseModel):
    """A call of the SDKs of Segment and RudderStack.

    `track` is an event: `event` names it, and `properties` contain the item (`product_id`, `item_id` or
    `sku`), `price`, `quantity`, `value` and `order_id`. Each of its `products` becomes an event. `page` and
    `screen` are events of these names. `identify` and `alias` link a session to a user; traits are not
    stored. `group` is accepted and ignored.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", coerce_numbers_to_str=True
    )

    type: str = "track"
    event: Name | None = None
    name: Name | None = None
    user_id: OptionalName = None
    anonymous_id: OptionalName = Field(
        None, validation_alias=AliasChoices("anonymousId", "anonymous_id", "sessionId", "session_id")
    )
    previous_id: OptionalName = None
    message_id: OptionalName = None
    timestamp: datetime | None = None
    original_timestamp: datetime | None = None
    sent_at: datetime | None = Field(None, description="time of the request by the sender's clock")
    properties: dict[str, Any] | None = None


class CallBatch(BaseModel):
    """Several calls of one client. The members of `context` count for each call that does not have them."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    batch: list[Call] = Field(min_length=1)
    sent_at: datetime | None = None
    write_key: str | None = Field(None, description="the key, unless a header has it")


def is_call(event: Mapping[str, Any]) -> bool:
    """Return whether an event is a call: its `type` is a type of calls.

    Without `type` it is a `track` call if it has `event`, `properties`, and only members of track calls.
    """
    if "event_type" in event or "eventType" in event:
        return False
    if "type" in event:
        call_type = event["type"]
        return isinstance(call_type, str) and call_type.lower() in CALL_TYPES
    return isinstance(event.get("properties"), dict) and "event" in event and event.keys() <= _TRACK_MEMBERS


def parse_call(
    event: Mapping[str, Any], context: IngestContext, *, historical: bool = False
) -> AcceptedCall | Ignored | Rejected:
    """Return the events of a call. Raises pydantic's ValidationError for a member of a wrong type."""
    call = Call.model_validate(event)
    kind = call.type.lower()
    if kind not in CALL_TYPES:
        return Rejected(
            f"{call.type!r} is no type of call: {', '.join(sorted(CALL_TYPES))}.", call.message_id
        )
    if kind == "group":
        return Ignored("A group call has no item and no user; it is not stored.", call.message_id)
    properties: Mapping[str, Any] = call.properties or {}
    if kind in {"page", "screen"} and call.name is not None:
        properties = {"name": call.name, **properties}
    is_corrected = call.timestamp is not None and call.original_timestamp is not None
    tracking_call = TrackingCall(
        kind=cast("CallKind", kind),
        source="segment",
        user_id=call.user_id,
        session_id=call.previous_id or call.anonymous_id if kind == "alias" else call.anonymous_id,
        event=call.event,
        message_id=call.message_id,
        claimed=call.timestamp or call.original_timestamp,
        # A timestamp beside the original one has been corrected by a server on the way.
        sent_at=None if is_corrected else call.sent_at,
        properties=properties,
        historical=historical,
    )
    return parse_tracking_call(tracking_call, context)


def read_batch(request: ClientRequest) -> Upload:
    """Return the calls of a batch, with what the batch says for all. Raises Permanent without `batch`."""
    document = request.document()
    calls = document.get("batch") if isinstance(document, dict) else None
    if not isinstance(calls, list):
        message = 'The body must be an object with an array of calls: {"batch": [{"type": "track", …}]}'
        raise Permanent(message)
    for call in calls:
        if isinstance(call, dict):
            _take_defaults(call, document)
    return Upload(calls, _key(document))


def _take_defaults(call: dict[str, Any], batch: Mapping[str, Any]) -> None:
    if batch.get("sentAt") is not None and call.get("sentAt") is None:
        call["sentAt"] = batch["sentAt"]
    if isinstance(batch.get("context"), dict):
        own = call.get("context")
        call["context"] = {**batch["context"], **(own if isinstance(own, dict) else {})}


def _read_call(request: ClientRequest, *, kind: str) -> Upload:
    """Return the one call of a request; its path names the kind of call."""
    document = request.document()
    if not isinstance(document, dict):
        message = f'The body must be one call as an object, such as {{"userId": "7", "type": "{kind}"}}'
        raise Permanent(message)
    return Upload([document | {"type": kind}], _key(document))


def _key(document: Mapping[str, Any]) -> str | None:
    key = document.get("writeKey")
    return key if isinstance(key, str) and key else None


_SHORT_NAMES: Final = {
    "track": "t",
    "identify": "i",
    "page": "p",
    "screen": "s",
    "group": "g",
    "alias": "a",
}
"""The last part of the paths that Segment's analytics.js posts to."""


def _call_route(kind: str, name: str) -> ClientRoute:
    return ClientRoute(
        path=f"/v1/{name}",
        is_alias=name != kind,
        operation_id=f"{kind}Call",
        summary=f"Record a {kind} call of a Segment or RudderStack SDK",
        tag="Segment",
        source="segment",
        schema=Call,
        read=partial(_read_call, kind=kind),
        parse=parse_call,
        key_parameters=("writeKey",),
        key_in_body=True,
        members={"success": True},
    )


def _batch_route(name: str, operation_id: str, *, historical: bool = False) -> ClientRoute:
    return ClientRoute(
        path=f"/v1/{name}",
        is_alias=name == "b",
        operation_id=operation_id,
        summary="Record calls of a Segment or RudderStack SDK" + (", as history" if historical else ""),
        tag="Segment",
        source="segment",
        schema=CallBatch,
        read=read_batch,
        parse=partial(parse_call, historical=historical),
        key_parameters=("writeKey",),
        key_in_body=True,
        members={"success": True},
    )


ROUTES: Final = (
    *(_call_route(kind, kind) for kind in _SHORT_NAMES),
    *(_call_route(kind, short) for kind, short in _SHORT_NAMES.items()),
    _batch_route("batch", "callBatch"),
    _batch_route("b", "callBatch"),
    _batch_route("import", "callImport", historical=True),
)

FORMAT = EventFormat(Call, is_call, parse_call)
