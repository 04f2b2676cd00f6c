"""Answers of a placement as server-sent events: the list at once, and again whenever it changes.

See docs/serving.md. The format is that of the HTML standard, section 9.2.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi.responses import StreamingResponse

from services.recommender.metrics import STREAM_EVENTS, STREAMS
from shared.errors import ApiError
from shared.http.shutdown import SHUTDOWN

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from services.recommender.api.placement_answers import PlacementAnswers
    from services.recommender.serving.placements.candidates import PlacementAnswer
    from services.recommender.serving.placements.request import PlacementRequest
    from services.recommender.store.catalogues import Catalogues
    from services.recommender.store.subject_feed import SubjectFeed

HEARTBEAT_SECONDS = 15.0
"""Less than the 60 seconds after which nginx closes a silent answer."""
POLL_SECONDS = 5.0
"""Interval between looks for changes while none are announced."""
LEAST_SECONDS = 0.25
"""Pause between two computations of a stream."""
ITEMS_SECONDS = 1.0
"""Interval between looks at the state of the shown items."""
RETRY_AFTER_SECONDS = 5
RECONNECT = b"retry: 2000\n\n"
"""Milliseconds after which a browser connects again."""
HEARTBEAT = b": heartbeat\n\n"
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
"""Proxies neither store nor collect nor compress the events."""

_LISTS, _HEARTBEATS, _REFUSED = (STREAM_EVENTS.labels(kind) for kind in ("list", "heartbeat", "refused"))


@dataclass(eq=False, slots=True)
class _Stream:
    """A stream, and the rows that it has shown: item, name and price."""

    request: PlacementRequest
    subjects: tuple[str, ...]
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    item_ids: list[str] = field(default_factory=list)
    rows: list[bytes] | None = None
    sent_at: float = 0.0


class EventStream(StreamingResponse):
    """The answer of a stream; `release` is called when it ends, however it does."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], release: Callable[[], None]) -> None:
        super().__init__(events, headers=HEADERS)
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._release()


class PlacementStreams:
    """The open streams of the process. A part."""

    name = "streams"

    def __init__(
        self,
        answers: PlacementAnswers,
        catalogues: Catalogues,
        feed: SubjectFeed,
        redis_is_up: Callable[[], bool],
        *,
        limit: int,
        seconds: float,
    ) -> None:
        """Open at most `limit` streams, each for at most `seconds`: then the key is verified again."""
        self._answers = answers
        self._catalogues = catalogues
        self._feed = feed
        self._redis_is_up = redis_is_up
        self._limit = limit
        self._seconds = seconds
        self._streams: set[_Stream] = set()
        self._ending = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start to hear of changes, and to watch the state of shown items."""
        await self._feed.start()
        STREAMS.set_function(lambda: len(self._streams))
        SHUTDOWN.listen(self._end)
        self._watcher = asyncio.create_task(self._watch_items(), name=self.name)

    async def stop(self) -> None:
        """End all streams."""
        self._end()
        SHUTDOWN.forget(self._end)
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait({self._watcher}, timeout=5)
        await self._feed.stop()

    def alive(self) -> str | None:
        """Return why changes are no longer noticed; None while they are."""
        if self._watcher is not None and self._watcher.done() and not self._ending.is_set():
            return "watching the items of streams stopped because of a defect; see the log"
        return self._feed.alive()

    def ready(self) -> str | None:
        """Return None: a stream answers whatever is unavailable."""
        return None

    async def open(self, request: PlacementRequest) -> EventStream:
        """Return the stream of a placement for a visitor.

        Raise ApiError: 400 without a visitor, 404 for an unknown placement, 429 for too many streams.
        """
        subjects = tuple(each for each in (request.user_id, request.session_id) if each is not None)
        if not subjects:
            raise ApiError(400, "InvalidRequest", "Give a user_id or a session_id, whose events to follow.")
        if self._ending.is_set() or len(self._streams) >= self._limit:
            _REFUSED.inc()
            detail = f"This process has its {self._limit} streams; request the placement without /stream."
            raise ApiError(429, "TooManyStreams", detail, retry_after=RETRY_AFTER_SECONDS)
        stream = _Stream(request, subjects)
        self._streams.add(stream)
        self._feed.listen(request.tenant, subjects, stream.changed.set)
        try:
            first = self._event(stream, await self._answers.answer(request))
        except BaseException:
            self._release(stream)
            raise
        return EventStream(self._events(stream, first or b""), lambda: self._release(stream))

    async def _events(self, stream: _Stream, first: bytes) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._seconds
        yield RECONNECT + first
        while not self._ending.is_set() and loop.time() < ends_at:
            await self._wait(stream, ends_at)
            if self._ending.is_set():
                return
            try:
                event = self._event(stream, await self._answers.answer(stream.request))
            except ApiError:
                return  # the placement was deleted; the next connection says so
            if event is None and loop.time() - stream.sent_at >= HEARTBEAT_SECONDS:
                event, stream.sent_at = HEARTBEAT, loop.time()
                _HEARTBEATS.inc()
            if event is not None:
                yield event

    async def _wait(self, stream: _Stream, ends_at: float) -> None:
        """Wait for a change, or until the answer has to be computed without one."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        until = min(stream.sent_at + HEARTBEAT_SECONDS, ends_at)
        if not (self._feed.is_subscribed and self._redis_is_up()):
            until = min(until, now + POLL_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await stream.changed.wait()
        pause = now + LEAST_SECONDS - loop.time()
        if pause > 0 and not self._ending.is_set():
            await asyncio.sleep(pause)
        stream.changed.clear()

    def _event(self, stream: _Stream, answer: PlacementAnswer) -> bytes | None:
        """Return the event of an answer; None if the stream has shown the same rows."""
        item_ids = [item.item_id for item in answer.items]
        rows = self._rows(stream.request.tenant, item_ids)
        if rows == stream.rows:
            return None
        stream.item_ids, stream.rows = item_ids, rows
        stream.sent_at = asyncio.get_running_loop().time()
        _LISTS.inc()
        identity = hashlib.blake2b(b"\n".join(rows), digest_size=8).hexdigest()
        body = self._answers.record(answer)
        return b"id: %b\nevent: recommendations\ndata: %b\n\n" % (identity.encode(), body)

    def _rows(self, tenant: str, item_ids: list[str]) -> list[bytes]:
        return self._catalogues.of(tenant).encode_rows([(item_id, None, b"") for item_id in item_ids])

    async def _watch_items(self) -> None:
        """Wake the streams whose shown items changed: out of stock, another price or name."""
        while True:
            await asyncio.sleep(ITEMS_SECONDS)
            for stream in self._streams:
                if stream.rows is not None:
                    rows = self._rows(stream.request.tenant, stream.item_ids)
                    if rows != stream.rows:
                        stream.changed.set()

    def _release(self, stream: _Stream) -> None:
        self._streams.discard(stream)
        self._feed.forget(stream.request.tenant, stream.subjects, stream.changed.set)

    def _end(self) -> None:
        self._ending.set()
        for stream in self._streams:
            stream.changed.set()
