"""A wire format is a module with a parser and a row in a table: routes and documentation follow from it."""

from __future__ import annotations

from typing import Any, cast

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from services.tracker.api import event_routes, track_routes
from services.tracker.domain import batch, formats
from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.wire_format import EventFormat
from shared.events import InteractionRecorded
from tests.unit.tracker.test_native import NOW, context


class Ping(BaseModel):
    """An event of a format that exists in this test alone."""

    ping: str


def parse_ping(event: Any, context: IngestContext) -> InteractionRecorded:
    ping = Ping.model_validate(event)
    return InteractionRecorded(
        event_id=context.new_id(),
        tenant=context.tenant,
        occurred_at=context.received_at,
        received_at=context.received_at,
        user_id=ping.ping,
        event_type="ping",
        source="events",
    )


def test_a_row_in_the_table_of_event_formats_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    row = EventFormat(Ping, lambda event: "ping" in event, parse_ping)
    monkeypatch.setattr(batch, "EVENT_FORMATS", (row, *formats.EVENT_FORMATS))

    ping, view = batch.parse_events(
        [{"ping": "u"}, {"event_type": "view", "user_id": "u"}], context(), max_bytes=None
    )

    assert isinstance(ping, InteractionRecorded)
    assert (ping.event_type, ping.user_id, ping.occurred_at) == ("ping", "u", NOW)
    assert isinstance(view, InteractionRecorded)
    assert view.event_type == "view"


def test_every_format_is_documented() -> None:
    app = FastAPI()
    app.include_router(event_routes(cast("Any", None)))
    app.include_router(track_routes(cast("Any", None)))
    paths = app.openapi()["paths"]

    body = paths["/v1/events"]["post"]["requestBody"]["content"]["application/json"]["schema"]["anyOf"]
    assert [schema["title"] for schema in body[:-1]] == [
        event_format.schema.__name__ for event_format in formats.EVENT_FORMATS
    ]
    for request_format in formats.REQUEST_FORMATS:
        assert paths[request_format.path]["post"]["operationId"] == request_format.operation_id
