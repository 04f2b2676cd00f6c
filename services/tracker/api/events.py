"""`POST /v1/events`: one event, an array of events, or one event per line."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from services.tracker.api.intake import EVENT_BYTES, Intake, json_response
from services.tracker.domain.batch import parse_events
from services.tracker.domain.formats import EVENT_FORMATS
from services.tracker.domain.outcomes import AcceptedCall, Ignored, Outcome, Rejected
from services.tracker.metrics import IGNORED, REJECTED
from shared.errors import ApiError
from shared.events import InteractionRecorded

LINE_MEDIA_TYPES = frozenset(
    {
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/jsonlines",
        "application/json-lines",
    }
)


_MOST_DIGITS = 300
"""Digits of an integer that fits a float. Python itself rejects integers of more than 4,300 digits."""


class EventResult(BaseModel):
    """The outcome of one event of the request."""

    index: int = Field(description="position in the request, from 0")
    id: str | None = Field(description="id of the event: the sender's, or a generated one")
    ids: list[str] | None = Field(None, description="ids of the events, if a call became several events")
    status: Literal["accepted", "rejected", "ignored"]
    reason: str | None = Field(None, description="why the event was rejected or ignored")


class EventsResponse(BaseModel):
    """The outcome of each event of a request. Do not send rejected and ignored events again."""

    accepted: int
    rejected: int
    ignored: int | None = Field(None, description="number of valid calls that are not stored, if any")
    results: list[EventResult]


_SCHEMAS = [event_format.schema.model_json_schema() for event_format in EVENT_FORMATS]
_DOCUMENTED = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"anyOf": [*_SCHEMAS, {"type": "array", "items": {"anyOf": _SCHEMAS}}]}
            },
            "application/x-ndjson": {"schema": {"type": "string", "description": "one event per line"}},
        },
    }
}
_ERRORS: dict[int | str, dict[str, Any]] = {
    200: {"model": EventsResponse, "description": "At least one event is in the log."},
    413: {"description": "The request has more than 500 KB or 2,500 events, or an event more than 32 KB."},
}


def event_routes(intake: Intake) -> APIRouter:
    """Return the route that records events."""
    router = APIRouter(tags=["Events"])

    @router.post(
        "/v1/events",
        operation_id="recordEvents",
        summary="Record events",
        response_class=Response,
        responses=_ERRORS,
        openapi_extra=_DOCUMENTED,
    )
    async def record_events(
        request: Request,
        _key: Annotated[
            str | None,
            Query(alias="key", description="a storefront or ingest key, for beacons, which have no headers"),
        ] = None,
    ) -> Response:
        """Record one event (an object), several (an array), or one per line (application/x-ndjson).

        The response is 2xx if and only if the events are in the log. If some events of a batch are invalid,
        the others are recorded, and each event has its own result. The body may be gzip.

        The events may be calls of Segment and RudderStack (`type` is track, page, screen, identify, alias or
        group): `event` names what happened, `properties` contain the item, and each of the `products` becomes
        an event.
        """
        caller, body = await intake.read(request)
        tenant = caller.own_tenant
        records = _records(body, request.headers.get("content-type", ""))
        _check_limits(body, records, intake)
        limit = intake.settings.max_event_bytes
        max_bytes = limit if len(body) > limit else None
        outcomes = parse_events(records, intake.context(tenant), max_bytes=max_bytes)
        events = [event for outcome in outcomes for event in _events(outcome)]
        if events:
            extra = max(0, len(events) - len(outcomes))
            await intake.accept(events, "events", len(body) + extra * EVENT_BYTES)
        return _response(outcomes)

    return router


def _records(body: bytes, content_type: str) -> Sequence[Any]:
    """Return the JSON values of a body; a line that is not JSON is Rejected. Raises ApiError 400."""
    if content_type.partition(";")[0].strip().lower() in LINE_MEDIA_TYPES:
        return [_parse_line(line) for line in body.splitlines() if line.strip()]
    document = _parse_document(body)
    return document if isinstance(document, list) else [document]


def _parse_document(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # One event with half a surrogate pair or a NaN must not reject the whole batch: Python's parser
        # accepts it, and validation then rejects that event alone.
        try:
            return json.loads(body, parse_constant=NotFinite, parse_float=_parse_float, parse_int=_parse_int)
        except (ValueError, RecursionError):
            detail = (
                f"The body is not valid JSON: {error}. Send one object, an array, or lines with "
                "Content-Type application/x-ndjson."
            )
            raise ApiError(400, "InvalidJson", detail) from None


class NotFinite:
    """A number that JSON cannot represent: NaN, Infinity, 1e400. No field accepts this type."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text[:40]


def _parse_float(text: str) -> float | NotFinite:
    number = float(text)
    return number if math.isfinite(number) else NotFinite(text)


def _parse_int(text: str) -> int | NotFinite:
    return int(text) if len(text) <= _MOST_DIGITS else NotFinite(text)


def _parse_line(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Rejected(f"The line is not valid JSON: {error}.")


def _check_limits(body: bytes, events: Sequence[Any], intake: Intake) -> None:
    """Raise ApiError 400 for a request without events, 413 for one beyond the limits."""
    settings = intake.settings
    if not events:
        raise ApiError(400, "NoEvents", "The request contains no events.")
    if len(events) > settings.max_batch_events:
        detail = f"The request has {len(events)} events; {settings.max_batch_events} are allowed. Send fewer."
        raise ApiError(413, "TooManyEvents", detail)
    if len(events) == 1 and len(body) > settings.max_event_bytes:
        detail = f"The event has {len(body)} bytes; {settings.max_event_bytes} are allowed."
        raise ApiError(413, "TooLarge", detail)


def _events(outcome: Outcome) -> tuple[InteractionRecorded, ...]:
    if isinstance(outcome, InteractionRecorded):
        return (outcome,)
    return outcome.events if isinstance(outcome, AcceptedCall) else ()


def _response(outcomes: Sequence[Outcome]) -> Response:
    rejected = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    ignored = sum(isinstance(outcome, Ignored) for outcome in outcomes)
    document: dict[str, Any] = {
        "accepted": len(outcomes) - len(rejected) - ignored,
        "rejected": len(rejected),
    }
    if ignored:
        document["ignored"] = ignored
        IGNORED.labels("events").inc(ignored)
    if rejected:
        REJECTED.labels("events").inc(len(rejected))
    if len(rejected) == len(outcomes):
        document["error"] = "InvalidEvents"
        document["detail"] = f"None of the {len(outcomes)} events is valid. The first: {rejected[0].reason}"
    document["results"] = [_result(index, outcome) for index, outcome in enumerate(outcomes)]
    return json_response(document, 400 if len(rejected) == len(outcomes) else 200)


def _result(index: int, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Rejected):
        return {"index": index, "id": outcome.id, "status": "rejected", "reason": outcome.reason}
    if isinstance(outcome, Ignored):
        return {"index": index, "id": outcome.id, "status": "ignored", "reason": outcome.reason}
    if isinstance(outcome, InteractionRecorded):
        return {"index": index, "id": outcome.event_id, "status": "accepted"}
    result: dict[str, Any] = {"index": index, "id": outcome.id, "status": "accepted"}
    if len(outcome.events) > 1:
        result["ids"] = [event.event_id for event in outcome.events]
    return result
