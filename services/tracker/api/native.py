"""`POST /v1/events`: one event, an array, or a line each."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from services.tracker.api.intake import EVENT_BYTES, Intake, answer
from services.tracker.domain.calls import Call, Ignored, Lines
from services.tracker.domain.native import NativeEvent, Outcome, interactions
from services.tracker.domain.reception import Rejected
from services.tracker.metrics import IGNORED, REJECTED
from shared.errors import ApiError
from shared.events import InteractionRecorded

LINES = frozenset(
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
"""Digits of a whole number that a float still holds; Python itself refuses to read more than 4,300."""


class EventResult(BaseModel):
    """What became of one event of the request."""

    index: int = Field(description="its place in the request, from 0")
    id: str | None = Field(description="its id: the sender's, or the one it got")
    ids: list[str] | None = Field(None, description="the ids of its events, where a call became several")
    status: Literal["accepted", "rejected", "ignored"]
    reason: str | None = Field(None, description="why it was rejected or ignored")


class EventsAnswer(BaseModel):
    """What became of the events of a request. Rejected and ignored ones need not be sent again."""

    accepted: int
    rejected: int
    ignored: int | None = Field(None, description="calls that say nothing which is kept, where there are any")
    results: list[EventResult]


_SCHEMAS = [NativeEvent.model_json_schema(), Call.model_json_schema()]
_DOCUMENTED = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"anyOf": [*_SCHEMAS, {"type": "array", "items": {"anyOf": _SCHEMAS}}]}
            },
            "application/x-ndjson": {"schema": {"type": "string", "description": "one event in each line"}},
        },
    }
}
_ERRORS: dict[int | str, dict[str, Any]] = {
    200: {"model": EventsAnswer, "description": "At least one event is in the log."},
    413: {"description": "More than 500 KB or 2,500 events, or one event of more than 32 KB."},
}


def native_routes(intake: Intake) -> APIRouter:
    """The route of Endcap's own events."""
    router = APIRouter(tags=["Events"])

    @router.post(
        "/v1/events",
        operation_id="recordEvents",
        summary="Record events",
        response_class=Response,
        responses=_ERRORS,
        openapi_extra=_DOCUMENTED,
    )
    async def record_events(request: Request) -> Response:
        """Record one event (an object), several (an array), or one in each line (application/x-ndjson).

        The answer comes when the events are in the log: 2xx if and only if they are. Of a batch in which
        some events are not valid the others are kept, and each has its result. Gzipped bodies are unpacked.

        Calls of Segment and RudderStack (`type` is track, page, screen, identify, alias or group) may stand
        among the events: `event` names what happened, `properties` hold the item, and each of their
        `products` is an event.
        """
        caller, body = await intake.read(request)
        tenant = caller.own_tenant
        sent = _events(body, request.headers.get("content-type", ""))
        _check_limits(body, sent, intake)
        most = intake.settings.max_event_bytes
        outcomes = interactions(sent, intake.reception(tenant), most_bytes=most if len(body) > most else None)
        events = [event for outcome in outcomes for event in _events_of(outcome)]
        if events:
            more = max(0, len(events) - len(outcomes))
            await intake.accept(events, "events", len(body) + more * EVENT_BYTES)
        return _answered(outcomes)

    return router


def _events(body: bytes, content_type: str) -> Sequence[Any]:
    if content_type.partition(";")[0].strip().lower() in LINES:
        return [_line(line) for line in body.splitlines() if line.strip()]
    document = _document(body)
    return document if isinstance(document, list) else [document]


def _document(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # One event with half a surrogate pair or a NaN must not take the others with it: the tolerant
        # parser lets them in, and that event alone is refused.
        try:
            return json.loads(body, parse_constant=NotFinite, parse_float=_float, parse_int=_int)
        except (ValueError, RecursionError):
            detail = (
                f"The body is no valid JSON: {error}. Send one object, an array, or lines with "
                "Content-Type application/x-ndjson."
            )
            raise ApiError(400, "InvalidJson", detail) from None


class NotFinite:
    """A number that JSON can't hold: NaN, Infinity, 1e400. Whatever field it is in refuses it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text[:40]


def _float(text: str) -> float | NotFinite:
    number = float(text)
    return number if math.isfinite(number) else NotFinite(text)


def _int(text: str) -> int | NotFinite:
    return int(text) if len(text) <= _MOST_DIGITS else NotFinite(text)


def _line(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Rejected(f"The line is no valid JSON: {error}.")


def _check_limits(body: bytes, events: Sequence[Any], intake: Intake) -> None:
    settings = intake.settings
    if not events:
        raise ApiError(400, "NoEvents", "The request has no events.")
    if len(events) > settings.max_batch_events:
        detail = f"{len(events)} events in one request; {settings.max_batch_events} are allowed. Send fewer."
        raise ApiError(413, "TooManyEvents", detail)
    if len(events) == 1 and len(body) > settings.max_event_bytes:
        detail = f"The event has {len(body)} bytes; {settings.max_event_bytes} are allowed."
        raise ApiError(413, "TooLarge", detail)


def _events_of(outcome: Outcome) -> tuple[InteractionRecorded, ...]:
    if isinstance(outcome, InteractionRecorded):
        return (outcome,)
    return outcome.events if isinstance(outcome, Lines) else ()


def _answered(outcomes: Sequence[Outcome]) -> Response:
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
    return answer(document, 400 if len(rejected) == len(outcomes) else 200)


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
