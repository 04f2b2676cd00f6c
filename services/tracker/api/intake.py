"""The one way in: a request is read within limits, and answered when Kafka has its events."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import Request, Response

from services.tracker.domain.reception import Reception
from services.tracker.metrics import ACCEPTED, UNCONFIRMED, WAITING
from services.tracker.settings import Settings
from shared.auth import Authenticator, Principal
from shared.errors import ApiError, Transient, unavailable
from shared.events.topics import INTERACTIONS, Topic
from shared.http import SMALL_BODY_BYTES, declared_bytes
from shared.http.request_bodies import read_body
from shared.kafka import Publisher

if TYPE_CHECKING:
    from shared.events import Event, InteractionRecorded


EVENT_BYTES = 512
"""Roughly what an event of a request holds in memory while it waits for Kafka."""


class Intake:
    """Takes events: published and confirmed, or an error after which the client sends them again."""

    def __init__(self, publisher: Publisher, authenticator: Authenticator, settings: Settings) -> None:
        self.settings = settings
        self._publisher = publisher
        self._authenticator = authenticator
        self._oldest = timedelta(days=settings.oldest_event_days)
        self._waiting_bytes = 0

    async def read(self, request: Request) -> tuple[Principal, bytes]:
        """Return who sends events, and the body; a large one is read only for a caller who may send it."""
        if declared_bytes(request.scope) > SMALL_BODY_BYTES:
            await self._authenticator.check_headers(request.scope, "ingest")
        body = await self._body(request)
        return await self._caller(request, body), body

    async def _caller(self, request: Request, body: bytes) -> Principal:
        scope = request.scope
        found = self._authenticator.known(scope) or await self._authenticator.of_scope(scope, body)
        return self._authenticator.admit(found, "ingest")

    async def _body(self, request: Request) -> bytes:
        """The body, unpacked if it is gzipped; 413 beyond the limits, 408 if it takes too long."""
        most = self.settings.max_batch_bytes
        try:
            async with asyncio.timeout(self.settings.read_seconds):
                return await read_body(request, most, unpacked_limit=most)
        except TimeoutError:
            detail = f"The request did not arrive within {self.settings.read_seconds:g} seconds."
            raise ApiError(408, "RequestTimeout", detail) from None

    def reception(self, tenant: str) -> Reception:
        """What this moment adds to the events of a tenant."""
        now = datetime.now(UTC)
        return Reception(tenant, now, now - self._oldest, new_id)

    async def accept(self, events: Sequence[InteractionRecorded], source: str, size: int) -> None:
        """Return when Kafka has confirmed the interactions; 503 when it does not in time."""
        await self.publish(INTERACTIONS, events, source, size)

    async def publish(self, topic: Topic, events: Sequence[Event], source: str, size: int) -> None:
        """Return when Kafka has confirmed the events; `size` is how many bytes of request wait for it."""
        if self._waiting_bytes + size > self.settings.max_waiting_bytes:
            UNCONFIRMED.labels(source).inc(len(events))
            raise unavailable("Kafka (too many requests wait for it already), so the event log")
        self._waiting_bytes += size
        WAITING.set(self._waiting_bytes)
        try:
            await self._publisher.publish(topic, events, within=self.settings.confirm_seconds)
        except Transient:
            UNCONFIRMED.labels(source).inc(len(events))
            raise unavailable("The event log (Kafka)") from None
        finally:
            self._waiting_bytes -= size
            WAITING.set(self._waiting_bytes)
        ACCEPTED.labels(source).inc(len(events))


def new_id() -> str:
    """A UUID of version 7 (RFC 9562): ids that grow with time keep the log's index fast."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) & ~(0x3 << 62) | (0x7 << 76) | (0x2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def answer(document: Any, status: int = 200) -> Response:
    """A JSON answer, without the detour over models."""
    return Response(orjson.dumps(document), status, media_type="application/json")
