"""The measurement protocol of Google Analytics 4: events with `items`, the secret in the address.

https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.tracker.domain.formats.segment import OptionalName
from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.outcomes import AcceptedCall, Ignored, Rejected, validation_message
from services.tracker.domain.tracking_calls import TrackingCall, parse_tracking_call
from services.tracker.domain.wire_format import ClientRequest, ClientRoute, Upload
from shared.errors import Permanent
from shared.events.values import Name

MAX_EVENTS: Final = 25
"""Events of one request; the limit of Google."""

_AUTOMATIC: Final = frozenset({"session_start", "first_visit", "first_open", "user_engagement", "app_remove"})
"""Events about the use of a page as such, which no shop acts on."""

_NOT_KEPT: Final = frozenset({"items", "engagement_time_msec", "debug_mode"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_MICROSECONDS: Final = 32_503_680_000_000_000  # the year 3000


class Ga4Event(BaseModel):
    """An event; `params` are its parameters, of which `items` are the products."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    name: Name
    params: dict[str, Any] | None = None
    timestamp_micros: int | None = Field(None, ge=0, le=_MOST_MICROSECONDS)


class Ga4Request(BaseModel):
    """Events of one client. Needs `client_id`, `app_instance_id` or `user_id`.

    `client_id` is the session. Events without an id of their own are told apart by their time and content, so
    name the time (`timestamp_micros`) if a program repeats requests.
    """

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    client_id: OptionalName = None
    app_instance_id: OptionalName = None
    user_id: OptionalName = None
    timestamp_micros: int | None = Field(None, ge=0, le=_MOST_MICROSECONDS)
    events: list[Ga4Event] = Field(min_length=1, max_length=MAX_EVENTS)


class _Sender(BaseModel):
    """The members of a request that all of its events share."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    client_id: OptionalName = None
    app_instance_id: OptionalName = None
    user_id: OptionalName = None
    timestamp_micros: int | None = Field(None, ge=0, le=_MOST_MICROSECONDS)


def _read(request: ClientRequest) -> Upload:
    """Return the events with the members of their request. Raises Permanent for any other body."""
    document = request.document()
    events = document.get("events") if isinstance(document, dict) else None
    if not isinstance(events, list):
        message = 'The body must be {"client_id": …, "events": [{"name": …, "params": {…}}]}.'
        raise Permanent(message)
    if len(events) > MAX_EVENTS:
        message = f"The request has {len(events)} events; {MAX_EVENTS} are allowed. Send fewer."
        raise Permanent(message)
    shared = {name: value for name, value in document.items() if name != "events"}
    sender = _sender(shared)
    return Upload([{"request": shared, "event": event, "sender": sender} for event in events])


def _sender(shared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a request that are needed for each event; or `problem`, why they are invalid."""
    try:
        return _Sender.model_validate(shared).model_dump()
    except ValidationError as error:
        return {"problem": validation_message(error)}


def parse_ga4(record: Mapping[str, Any], context: IngestContext) -> AcceptedCall | Ignored | Rejected:
    """Return the interactions of an event. Raises pydantic's ValidationError for a wrong member."""
    sender = record["sender"]
    if "problem" in sender:
        return Rejected(sender["problem"])
    event = Ga4Event.model_validate(record["event"])
    if event.name in _AUTOMATIC:
        return Ignored(f"{event.name} is about no item and no page; it is not stored.")
    user_id, session_id = sender["user_id"], sender["client_id"] or sender["app_instance_id"]
    if user_id is None and session_id is None:
        return Rejected("A request needs client_id, app_instance_id or user_id.")
    params = event.params or {}
    call = TrackingCall(
        kind="page" if event.name == "page_view" else "track",
        source="google_analytics",
        user_id=user_id,
        session_id=session_id,
        event=event.name,
        claimed=_time(event.timestamp_micros, sender["timestamp_micros"]),
        properties=_properties(params),
    )
    return parse_tracking_call(call, context)


def _time(own: int | None, of_request: int | None) -> datetime | None:
    micros = of_request if own is None else own
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)


def _properties(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters under the names of tracking calls."""
    properties = {name: value for name, value in params.items() if name not in _NOT_KEPT}
    if "transaction_id" in params:
        properties["order_id"] = properties.pop("transaction_id")
    if params.get("items"):
        properties["products"] = params["items"]
    return properties


def _route(path: str, operation_id: str, summary: str, *, is_dry_run: bool = False) -> ClientRoute:
    return ClientRoute(
        path=path,
        operation_id=operation_id,
        summary=summary,
        tag="Google Analytics",
        source="google_analytics",
        schema=Ga4Request,
        read=_read,
        parse=parse_ga4,
        key_parameters=("api_secret",),
        reply="validation" if is_dry_run else "nothing",
    )


ROUTES: Final = (
    _route("/mp/collect", "ga4Collect", "Record events of GA4's measurement protocol"),
    _route(
        "/debug/mp/collect",
        "ga4Validate",
        "Validate events of GA4's measurement protocol without recording them",
        is_dry_run=True,
    ),
)
