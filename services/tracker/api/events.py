"""`POST /v1/events`: one event, an array of events, or one event per line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson
from fastapi import APIRouter

from services.tracker.api.client_routes import add_client_route
from services.tracker.api.collector import Collector
from services.tracker.domain.batch import parse_in_any_format
from services.tracker.domain.documents import InvalidJson
from services.tracker.domain.formats import EVENT_FORMATS
from services.tracker.domain.formats.cloud_events import BATCH, STRUCTURED, binary_mode
from services.tracker.domain.formats.native import NativeEvent
from services.tracker.domain.outcomes import Rejected
from services.tracker.domain.wire_format import ClientRequest, ClientRoute, Upload

LINE_MEDIA_TYPES: Final = frozenset(
    {
        b"application/x-ndjson",
        b"application/ndjson",
        b"application/jsonl",
        b"application/x-jsonlines",
        b"application/jsonlines",
        b"application/json-lines",
    }
)

_DESCRIPTION = """Record one event (an object), several (an array), or one per line (application/x-ndjson).

The response is 2xx if and only if the events are in the log. If some events of a batch are invalid,
the others are recorded, and each event has its own result. The body may be gzip.

The events may be calls of Segment and RudderStack (`type` is track, page, screen, identify, alias or
group): `event` names what happened, `properties` contain the item, and each of the `products` becomes
an event.

An event may be a CloudEvent, in the structured, batched or binary mode (attributes as headers `ce-…`)."""


def _read(request: ClientRequest) -> Upload:
    """Return the events of a body; a line that is not JSON is Rejected. Raises InvalidJson."""
    cloud_event = binary_mode(request.headers, request.body)
    if cloud_event is not None:
        return Upload([cloud_event])
    media_type = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type in LINE_MEDIA_TYPES:
        return Upload([_parse_line(line) for line in request.body.splitlines() if line.strip()])
    try:
        document = request.document()
    except InvalidJson as error:
        message = f"{error} Send one object, an array, or lines with Content-Type application/x-ndjson."
        raise InvalidJson(message) from None
    records: Sequence[Any] = document if isinstance(document, list) else [document]
    return Upload(records)


def _parse_line(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Rejected(f"The line is not valid JSON: {error}.")


ROUTE: Final = ClientRoute(
    path="/v1/events",
    operation_id="recordEvents",
    summary="Record events",
    tag="Events",
    source="events",
    schema=NativeEvent,
    read=_read,
    parse=parse_in_any_format,
    key_parameters=("key",),
)


def event_routes(collector: Collector) -> APIRouter:
    """Return the route that records events."""
    router = APIRouter()
    schemas = [event_format.schema.model_json_schema() for event_format in EVENT_FORMATS]
    content = {
        "application/json": {
            "schema": {"anyOf": [*schemas, {"type": "array", "items": {"anyOf": schemas}}]},
        },
        STRUCTURED.decode(): {"schema": schemas[0]},
        BATCH.decode(): {"schema": {"type": "array", "items": schemas[0], "minItems": 1}},
        "application/x-ndjson": {"schema": {"type": "string", "description": "one event per line"}},
    }
    add_client_route(router, collector, ROUTE, content=content, description=_DESCRIPTION)
    return router
