"""CloudEvents 1.0 over HTTP in all three modes.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field

from services.tracker.domain.documents import InvalidJson, parse_document
from services.tracker.domain.formats import native, segment
from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.outcomes import Outcome, Rejected
from services.tracker.domain.wire_format import EventFormat
from shared.events import derived_id
from shared.events.interactions import is_known_type
from shared.events.values import Name, Text

STRUCTURED: Final = b"application/cloudevents+json"
BATCH: Final = b"application/cloudevents-batch+json"

_PREFIX: Final = b"ce-"
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_VERSION: Final = re.compile(r"v\d+(\.\d+)*")
_ID_NAMES: Final = frozenset({"event_id", "id", "messageId", "eventId"})
_TYPE_NAMES: Final = frozenset({"event_type", "eventType", "type", "event"})
_TIME_NAMES: Final = frozenset({"timestamp", "originalTimestamp"})


class CloudEvent(BaseModel):
    """A CloudEvent whose `data` is an event in another format of this route.

    `data` may leave out its type and its time: they are then those of the CloudEvent. Of a type such as
    `com.example.product.viewed.v1` the end counts. The id is unique within `source`.
    """

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    specversion: str = Field(pattern=r"^1\.")
    id: Name
    source: Text = Field(min_length=1)
    type: Text = Field(min_length=1)
    time: datetime | None = None
    data: dict[str, Any] | None = None
    data_base64: str | None = Field(None, description="the data as base64 of JSON")


def is_cloud_event(event: Mapping[str, Any]) -> bool:
    """Return whether an event is a CloudEvent: it has the attributes that each one must have."""
    return "specversion" in event and "source" in event and "type" in event


def parse_cloud_event(event: Mapping[str, Any], context: IngestContext) -> Outcome:
    """Return the outcome of the event in `data`. Raises pydantic's ValidationError for a wrong attribute."""
    cloud_event = CloudEvent.model_validate(event)
    event_id = _event_id(cloud_event, context)
    data = _data(cloud_event)
    if not isinstance(data, dict):
        return Rejected("The data of a CloudEvent must be a JSON object.", event_id)
    inner = {name: value for name, value in data.items() if name not in _ID_NAMES}
    if cloud_event.time is not None and not inner.keys() & _TIME_NAMES:
        inner["timestamp"] = cloud_event.time
    if segment.is_call(inner):
        return segment.parse_call(inner | {"messageId": event_id}, context)
    if not inner.keys() & _TYPE_NAMES:
        inner["event_type"] = _event_type(cloud_event.type)
    return native.parse_native(inner | {"event_id": event_id}, context)


def binary_mode(headers: Mapping[bytes, bytes], body: bytes) -> dict[str, Any] | None:
    """Return the CloudEvent whose attributes are in headers; None for a request that has none.

    Raises InvalidJson for data that is not JSON.
    """
    if b"ce-specversion" not in headers:
        return None
    attributes: dict[str, Any] = {
        name.removeprefix(_PREFIX).decode("latin-1"): unquote(value.decode("latin-1"))
        for name, value in headers.items()
        if name.startswith(_PREFIX)
    }
    return attributes | {"data": parse_document(body)}


def _data(event: CloudEvent) -> Any:
    if event.data is not None or event.data_base64 is None:
        return event.data
    try:
        return parse_document(base64.b64decode(event.data_base64, validate=True))
    except (binascii.Error, InvalidJson, ValueError):
        return None


def _event_id(event: CloudEvent, context: IngestContext) -> str:
    """Return the id: that of the CloudEvent if it is a UUID, else one of source and id, which are unique."""
    if _UUID.fullmatch(event.id):
        return event.id
    return derived_id(context.tenant, "cloudevents", event.source, event.id)


def _event_type(cloud_event_type: str) -> str:
    """Return the longest end of a type that names a known event type, else its last part."""
    parts = [part for part in cloud_event_type.split(".") if part]
    while len(parts) > 1 and _VERSION.fullmatch(parts[-1]):
        parts.pop()
    for begin in range(len(parts)):
        name = ".".join(parts[begin:])
        if is_known_type(name):
            return name
    return parts[-1] if parts else cloud_event_type


FORMAT: Final = EventFormat(CloudEvent, is_cloud_event, parse_cloud_event)
