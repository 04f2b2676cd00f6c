"""Read requests within limits, publish their events, and respond once Kafka has confirmed them.

See docs/decisions/0010-event-intake.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import Request, Response

from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.intake_rules import DEFAULT_RULES, NO_CIRCUMSTANCES, Circumstances
from services.tracker.metrics import ACCEPTED, UNCONFIRMED, WAITING, WITHHELD
from services.tracker.settings import Settings
from shared.auth import Authenticator, Principal
from shared.errors import ApiError, Transient, unavailable
from shared.events.topics import INTERACTIONS, Topic
from shared.http import READING, SMALL_BODY_BYTES, ReadingBudget, declared_bytes
from shared.http.request_bodies import read_body, unpacked
from shared.kafka import Publisher

if TYPE_CHECKING:
    from starlette.types import Scope

    from services.tracker.store import IntakeRulesTable
    from shared.events import Event, InteractionRecorded


EVENT_BYTES = 512
"""Estimated memory of one event while it waits for Kafka."""


class Intake:
    """Accepts events: either Kafka has confirmed them, or the client gets an error and sends them again."""

    def __init__(
        self,
        publisher: Publisher,
        authenticator: Authenticator,
        settings: Settings,
        rules: IntakeRulesTable | None = None,
    ) -> None:
        """Without `rules` every tenant has the default ones."""
        self.settings = settings
        self._rules = rules
        self._publisher = publisher
        self._authenticator = authenticator
        self._oldest = timedelta(days=settings.oldest_event_days)
        self._waiting_bytes = 0

    async def read(self, request: Request) -> tuple[Principal, bytes]:
        """Return the caller and the body. A large body is read only if the headers prove that it may be sent.

        Raises ApiError 401 or 403 for a caller without the scope `ingest`, and as `read_body` does.
        """
        if declared_bytes(request.scope) > SMALL_BODY_BYTES:
            await self._authenticator.check_headers(request.scope, "ingest")
        body = await self._body(request)
        return await self._caller(request, body), body

    async def _caller(self, request: Request, body: bytes) -> Principal:
        scope = request.scope
        caller = self._authenticator.known(scope) or await self._authenticator.of_scope(scope, body)
        return self._authenticator.admit(caller, "ingest")

    async def _body(self, request: Request) -> bytes:
        """Return the body, unpacked if it is gzip. Raises ApiError as `read_body` does, and 400."""
        return unpacked(await self.read_body(request), self.settings.max_batch_bytes)

    async def read_body(self, request: Request, budget: ReadingBudget = READING) -> bytes:
        """Return the body as sent. Raises ApiError 413 if it is too large, 408 if it is too slow."""
        try:
            async with asyncio.timeout(self.settings.read_seconds):
                return await read_body(request, self.settings.max_batch_bytes, budget=budget)
        except TimeoutError:
            detail = f"The request did not arrive within {self.settings.read_seconds:g} seconds."
            raise ApiError(408, "RequestTimeout", detail) from None

    async def context(self, tenant: str, scope: Scope | None = None) -> IngestContext:
        """Return the context of a request that arrives now; `scope` tells the origin of its events."""
        now = datetime.now(UTC)
        rules = DEFAULT_RULES if self._rules is None else await self._rules.of(tenant)
        request = NO_CIRCUMSTANCES if scope is None else _circumstances(scope)
        return IngestContext(tenant, now, now - self._oldest, new_id, rules, request)

    async def accept(self, events: Sequence[InteractionRecorded], source: str, size: int) -> None:
        """Publish interactions, and return when Kafka has confirmed them. Raises ApiError 503."""
        await self.publish(INTERACTIONS, events, source, size)
        for event in events:
            if event.withheld is not None:
                WITHHELD.labels(event.withheld).inc()

    async def publish(self, topic: Topic, events: Sequence[Event], source: str, size: int) -> None:
        """Publish events, and return when Kafka has confirmed them. `size` is the request's size in bytes.

        Raises ApiError 503 when Kafka does not confirm within `confirm_seconds`, or when the requests that
        wait for it exceed `max_waiting_bytes`.
        """
        if self._waiting_bytes + size > self.settings.max_waiting_bytes:
            UNCONFIRMED.labels(source).inc(len(events))
            raise unavailable("The event log (too many requests already wait for Kafka)")
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


def _circumstances(scope: Scope) -> Circumstances:
    """Return the address of a request, and the user agent if a page in a browser sent it.

    The user agent of an SDK says nothing about the person whose events it sends.
    """
    headers = dict(scope["headers"])
    forwarded = headers.get(b"x-forwarded-for", b"").rpartition(b",")[2].strip()
    client = scope.get("client")
    address = forwarded.decode("latin-1") or (client[0] if client else None)
    is_page = b"origin" in headers or scope["method"] == "GET"
    agent = headers.get(b"user-agent", b"").decode("latin-1") if is_page else None
    return Circumstances(user_agent=agent or None, address=address)


def new_id() -> str:
    """Return a UUID of version 7 (RFC 9562). Ids that grow with time keep inserts into the log fast."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) & ~(0x3 << 62) | (0x7 << 76) | (0x2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def json_response(document: Any, status: int = 200) -> Response:
    """Return a JSON response without validating a model."""
    return Response(orjson.dumps(document), status, media_type="application/json")
