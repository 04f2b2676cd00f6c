"""Events of PostHog's clients: `event` and `distinct_id`, alone or in a batch, with the key in the body.

https://posthog.com/docs/api/capture and https://posthog.com/docs/libraries/js
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from services.tracker.domain.documents import parse_document
from services.tracker.domain.formats.segment import OptionalName
from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.outcomes import AcceptedCall, Ignored, Rejected
from services.tracker.domain.tracking_calls import CallKind, TrackingCall, parse_tracking_call
from services.tracker.domain.wire_format import ClientRequest, ClientRoute, Upload
from shared.errors import Permanent
from shared.events.values import Name

_KINDS: Final[Mapping[str, CallKind]] = {
    "$pageview": "page",
    "$screen": "screen",
    "$identify": "identify",
    "$create_alias": "alias",
    "$merge_dangerously": "alias",
}
_OF_PAGES: Final = {
    "$current_url": "url",
    "$pathname": "path",
    "$referrer": "referrer",
    "$screen_name": "name",
}
"""Properties of pages that are kept, and their names. Others that begin with $ describe the device."""

_LIBRARY_THAT_ALIASES_PREVIOUS_IDS: Final = "posthog-python"
"""In this library `distinct_id` of an alias is the previous id; in others `alias` is."""

_UUID: Final = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")
_LONGEST_OFFSET: Final = 365 * 86_400_000.0
"""Milliseconds for which a client keeps an event before it sends it: a year; arbitrary."""


class PostHogEvent(BaseModel):
    """An event of a PostHog client.

    `properties` may contain the item, `price`, `quantity`, `value`, `order_id` and `products`, as in calls of
    Segment. `$pageview` and `$screen` are events of pages; `$identify` and `$create_alias` tie an anonymous
    id to a user. Other names that begin with `$` are PostHog's own and ignored.
    """

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    event: Name
    distinct_id: OptionalName = None
    properties: dict[str, Any] | None = None
    timestamp: datetime | None = None
    offset: float | None = Field(None, ge=0, le=_LONGEST_OFFSET, description="milliseconds ago")
    sent_at: datetime | None = None
    uuid: OptionalName = Field(None, validation_alias=AliasChoices("uuid", "message_id"))
    historical_migration: bool = False


class PostHogBatch(BaseModel):
    """Several events of a PostHog client."""

    api_key: str | None = Field(None, description="the key, unless a header has it")
    batch: list[PostHogEvent] = Field(min_length=1)
    sent_at: datetime | None = None


class FlagsRequest(BaseModel):
    """A request for feature flags, which Endcap has none of."""

    model_config = ConfigDict(extra="allow")

    api_key: str | None = Field(None, description="the key, unless a header has it; also `token`")
    distinct_id: str | None = None


def parse_posthog(event: Mapping[str, Any], context: IngestContext) -> AcceptedCall | Ignored | Rejected:
    """Return the events of an event. Raises pydantic's ValidationError for a member of a wrong type."""
    parsed = PostHogEvent.model_validate(event)
    properties = parsed.properties or {}
    kind = _KINDS.get(parsed.event)
    if kind is None and parsed.event.startswith("$"):
        return Ignored(f"{parsed.event} is PostHog's own event; it is not stored.", parsed.uuid)
    user_id, session_id = _subject(parsed, properties, kind)
    claimed = parsed.timestamp
    if claimed is None and parsed.offset is not None:
        claimed = (parsed.sent_at or context.received_at) - timedelta(milliseconds=parsed.offset)
    call = TrackingCall(
        kind=kind or "track",
        source="posthog",
        user_id=user_id,
        session_id=session_id,
        event=parsed.event,
        message_id=parsed.uuid,
        claimed=claimed,
        sent_at=parsed.sent_at,
        properties=_own_properties(properties, kind),
        historical=parsed.historical_migration,
    )
    return parse_tracking_call(call, context)


def _subject(
    event: PostHogEvent, properties: Mapping[str, Any], kind: CallKind | None
) -> tuple[str | None, str | None]:
    """Return the user and the session of an event: before login `distinct_id` is an anonymous id."""
    distinct_id = event.distinct_id or _id(properties.get("distinct_id"))
    if distinct_id is None:
        return None, None
    if kind == "identify":
        return distinct_id, _id(properties.get("$anon_distinct_id"))
    if kind == "alias":
        return _aliased(distinct_id, _id(properties.get("alias")), properties)
    if _is_anonymous(distinct_id, properties):
        return None, distinct_id
    return distinct_id, None


def _aliased(
    distinct_id: str, alias: str | None, properties: Mapping[str, Any]
) -> tuple[str | None, str | None]:
    """Return the user and the session that an alias ties; of two ids the one that is a UUID is anonymous."""
    if alias is None:
        return distinct_id, None
    is_previous = properties.get("$lib") == _LIBRARY_THAT_ALIASES_PREVIOUS_IDS
    if _is_uuid(distinct_id) != _is_uuid(alias):
        is_previous = _is_uuid(distinct_id)
    return (alias, distinct_id) if is_previous else (distinct_id, alias)


def _is_anonymous(distinct_id: str, properties: Mapping[str, Any]) -> bool:
    """Return whether an id is one that a client made up for somebody who is not logged in."""
    if properties.get("$is_identified") is False or properties.get("$device_id") == distinct_id:
        return True
    return properties.get("$process_person_profile") is False and _is_uuid(distinct_id)


def _is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text.lower()) is not None


def _own_properties(properties: Mapping[str, Any], kind: CallKind | None) -> dict[str, Any]:
    """Return the properties of the shop, and for a page its address."""
    own = {
        name: value
        for name, value in properties.items()
        if not name.startswith("$") and name not in {"token", "distinct_id", "alias"}
    }
    if kind in {"page", "screen"}:
        own |= {name: properties[their] for their, name in _OF_PAGES.items() if their in properties}
    return own


def read_posthog(request: ClientRequest) -> Upload:
    """Return the events of a body: an object with `batch`, one event, or an array.

    The body may be a form whose field `data` is JSON or base64 of it. Raises Permanent for any other body.
    """
    document = _document(request)
    if isinstance(document, dict):
        batch = document.get("batch")
        events = batch if isinstance(batch, list) else [document]
        shared = {name: document[name] for name in ("sent_at", "historical_migration") if name in document}
        if isinstance(batch, dict):
            message = "The member batch must be an array of events."
            raise Permanent(message)
    elif isinstance(document, list):
        events, shared = document, {}
    else:
        message = 'The body must be {"api_key": …, "batch": [{"event": …, "distinct_id": …}]}, or an event.'
        raise Permanent(message)
    if "sent_at" not in shared and (sent_at := _sent_at(request.query)) is not None:
        shared["sent_at"] = sent_at
    for event in events:
        if isinstance(event, dict):
            for name, value in shared.items():
                event.setdefault(name, value)
    return Upload(events, _key([document, *events[:1]] if isinstance(document, dict) else events[:1]))


def _document(request: ClientRequest) -> Any:
    body = request.body
    if not body.startswith(b"data="):
        return parse_document(body)
    data = parse_qs(body.decode("latin-1"), keep_blank_values=True)["data"][0]
    if data.lstrip()[:1] in {"{", "["}:
        return parse_document(data.encode("latin-1"))
    try:
        # A + of base64 that was not escaped arrives as a space.
        return parse_document(base64.b64decode(data.replace(" ", "+"), validate=True))
    except (binascii.Error, ValueError) as error:
        message = f"The field data of the form is neither JSON nor base64 of it: {error}."
        raise Permanent(message) from None


def _sent_at(query: Mapping[str, str]) -> datetime | None:
    """Return the time at which posthog-js sent a request: milliseconds since 1970 in the parameter `_`."""
    milliseconds = query.get("_", "")
    if not milliseconds.isascii() or not milliseconds.isdigit() or len(milliseconds) > 14:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(milliseconds))


def _key(documents: Iterable[Any]) -> str | None:
    for document in documents:
        if not isinstance(document, dict):
            continue
        properties = document.get("properties")
        token = properties.get("token") if isinstance(properties, dict) else None
        for key in (document.get("api_key"), document.get("token"), token):
            if isinstance(key, str) and key:
                return key
    return None


def _id(value: object) -> str | None:
    """Return an id among the properties; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def _read_flags(request: ClientRequest) -> Upload:
    return Upload([], _key([_document(request)]))


_NO_FLAGS: Final = {
    "flags": {},
    "featureFlags": {},
    "featureFlagPayloads": {},
    "errorsWhileComputingFlags": False,
    "config": {"enable_collect_everything": False},
    "supportedCompression": ["gzip", "gzip-js", "base64"],
    "isAuthenticated": False,
    "sessionRecording": False,
    "siteApps": [],
    "toolbarParams": {},
}
"""The answer that clients need before they go on: no flags, no recordings, no scripts."""


def _event_route(
    path: str, operation_id: str, schema: type[BaseModel], *, is_alias: bool = False
) -> ClientRoute:
    return ClientRoute(
        path=path,
        is_alias=is_alias,
        operation_id=operation_id,
        summary="Record events of a PostHog client",
        tag="PostHog",
        source="posthog",
        schema=schema,
        read=read_posthog,
        parse=parse_posthog,
        key_parameters=("api_key", "token"),
        key_in_body=True,
        members={"status": 1},
    )


def _flags_route(path: str, *, is_alias: bool) -> ClientRoute:
    return ClientRoute(
        path=path,
        is_alias=is_alias,
        operation_id="posthogFlags",
        summary="Answer a PostHog client that there are no feature flags",
        tag="PostHog",
        source="posthog",
        schema=FlagsRequest,
        read=_read_flags,
        parse=parse_posthog,
        records=False,
        key_parameters=("api_key", "token"),
        key_in_body=True,
        members=_NO_FLAGS,
    )


ROUTES: Final = (
    _event_route("/batch/", "posthogBatch", PostHogBatch),
    _event_route("/capture/", "posthogCapture", PostHogEvent),
    *(
        _event_route(path, "posthogCapture", PostHogEvent, is_alias=True)
        for path in ("/batch", "/capture", "/e/", "/e", "/i/v0/e/", "/i/v0/e")
    ),
    _flags_route("/flags/", is_alias=False),
    *(_flags_route(path, is_alias=True) for path in ("/flags", "/decide/", "/decide")),
)
