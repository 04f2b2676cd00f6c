"""`POST /v1/events`: one event, an array, or a line each."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from services.tracker.api.intake import Intake, answer
from services.tracker.domain.native import NativeEvent, interactions
from services.tracker.domain.reception import Rejected
from services.tracker.metrics import REJECTED
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
    status: Literal["accepted", "rejected"]
    reason: str | None = Field(None, description="why it was rejected")


class EventsAnswer(BaseModel):
    """What became of the events of a request. Rejected ones need not be sent again."""

    accepted: int
    rejected: int
    results: list[EventResult]


_SCHEMA = NativeEvent.model_json_schema()
_DOCUMENTED = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"anyOf": [_SCHEMA, {"type": "array", "items": _SCHEMA}]}},
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
        """
        caller, body = await intake.read(request)
        tenant = caller.own_tenant
        sent = _events(body, request.headers.get("content-type", ""))
        _check_limits(body, sent, intake)
        most = intake.settings.max_event_bytes
        found = interactions(sent, intake.reception(tenant), most_bytes=most if len(body) > most else None)
        good = [one for one in found if isinstance(one, InteractionRecorded)]
        if good:
            await intake.accept(good, "events", len(body))
        return _answered(found, len(good))

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


def _answered(found: Sequence[InteractionRecorded | Rejected], accepted: int) -> Response:
    document: dict[str, Any] = {"accepted": accepted, "rejected": len(found) - accepted}
    if document["rejected"]:
        REJECTED.labels("events").inc(document["rejected"])
    if not accepted:
        first = next(one.reason for one in found if isinstance(one, Rejected))
        document["error"] = "InvalidEvents"
        document["detail"] = f"None of the {len(found)} events is valid. The first: {first}"
    document["results"] = [_result(index, one) for index, one in enumerate(found)]
    return answer(document, 200 if accepted else 400)


def _result(index: int, one: InteractionRecorded | Rejected) -> dict[str, Any]:
    if isinstance(one, Rejected):
        return {"index": index, "id": one.id, "status": "rejected", "reason": one.reason}
    return {"index": index, "id": one.event_id, "status": "accepted"}
