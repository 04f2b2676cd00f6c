"""Replies to requests with events: the outcome of each, as JSON, as a picture, or as a status alone."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final, Literal

import orjson
from pydantic import BaseModel, Field

from services.tracker.domain.outcomes import Ignored, Outcome, Rejected
from services.tracker.domain.wire_format import ClientRoute
from services.tracker.metrics import IGNORED, REJECTED
from shared.aws_server.operations import Answer
from shared.errors import ApiError
from shared.events import InteractionRecorded

_JSON: Final = (b"content-type", b"application/json")
_NOT_STORED: Final = (b"cache-control", b"no-store")
_PIXEL: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""A transparent GIF of one pixel."""


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


def error_answer(error: ApiError) -> Answer:
    """Return the answer of an error: `{"error": code, "detail": sentence}`."""
    document = {"error": error.code, "detail": error.detail}
    return Answer(error.status, [_JSON, *retry_after(error)], orjson.dumps(document))


def retry_after(error: ApiError) -> list[tuple[bytes, bytes]]:
    """Return the header that says when to send a refused request again, if the error knows it."""
    return [] if error.retry_after is None else [(b"retry-after", b"%d" % error.retry_after)]


def reply(route: ClientRoute, outcomes: Sequence[Outcome]) -> Answer:
    """Return the answer to a request; it is a 400 if every event was rejected."""
    rejected = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    if route.reply == "validation":
        return _validation(rejected)
    ignored = sum(isinstance(outcome, Ignored) for outcome in outcomes)
    if ignored:
        IGNORED.labels(route.source).inc(ignored)
    if rejected:
        REJECTED.labels(route.source).inc(len(rejected))
    is_failure = len(rejected) == len(outcomes)
    if not is_failure and route.reply == "pixel":
        return Answer(200, [(b"content-type", b"image/gif"), _NOT_STORED], _PIXEL)
    if not is_failure and route.reply == "nothing":
        return Answer(204, [], b"")
    document: dict[str, Any] = {
        "accepted": len(outcomes) - len(rejected) - ignored,
        "rejected": len(rejected),
    }
    if ignored:
        document["ignored"] = ignored
    if is_failure:
        document["error"] = "InvalidEvents"
        document["detail"] = f"None of the {len(outcomes)} events is valid. The first: {rejected[0].reason}"
    elif route.members:
        document |= route.members
    document["results"] = [_result(index, outcome) for index, outcome in enumerate(outcomes)]
    return Answer(400 if is_failure else 200, [_JSON], orjson.dumps(document))


def members_alone(route: ClientRoute) -> Answer:
    """Return the answer of a route that records nothing."""
    return Answer(200, [_JSON], orjson.dumps(route.members or {}))


def _validation(rejected: Sequence[Rejected]) -> Answer:
    """Return the messages about invalid events, as Google's validation server does."""
    messages = [
        {"fieldPath": "events", "description": outcome.reason, "validationCode": "VALUE_INVALID"}
        for outcome in rejected
    ]
    return Answer(200, [_JSON], orjson.dumps({"validationMessages": messages}))


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
