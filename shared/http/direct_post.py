"""One POST with a small body whose answer is direct: see `shared.http.direct`.

Unlike a direct answer to a GET it is never left to the application after it has begun: its events may be
published already.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import structlog

from shared.http.answer_times import observe
from shared.http.body_limits import SMALL_BODY_BYTES
from shared.http.raw_routes import NO_CONTENT
from shared.http.unexpected_errors import UNEXPECTED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Scope

    from shared.http.direct import DirectLine
    from shared.http.raw_routes import RawAnswer, RawRoutes

_NOT_DIRECT: Final = frozenset((b"transfer-encoding", b"expect", b"upgrade", b"origin", b"traceparent"))
"""Headers of chunks, of pages in browsers, and of traces, which the application handles."""

log = structlog.get_logger()


def is_small_post(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a POST has a small body and nothing that only the application handles."""
    size = headers.get(b"content-length", b"")
    return size.isdigit() and int(size) <= SMALL_BODY_BYTES and _NOT_DIRECT.isdisjoint(headers)


class DirectPost:
    """One such request, with the attributes that uvicorn reads of a cycle and sets while the body comes."""

    __slots__ = (
        "_began",
        "_is_given_up",
        "_line",
        "_routes",
        "_scope",
        "_task",
        "answer",
        "body",
        "disconnected",
        "headers",
        "is_done",
        "keep_alive",
        "more_body",
        "response_complete",
        "response_started",
    )

    def __init__(self, line: DirectLine, routes: RawRoutes, scope: Scope) -> None:
        self._began = perf_counter()
        self._line = line
        self._routes = routes
        self._scope = scope
        self._task: asyncio.Task[None] | None = None
        self._is_given_up = False
        self.headers = scope["headers"]
        self.answer: bytes | None = None
        self.body = b""
        self.is_done = False
        self.disconnected = False
        self.keep_alive = True
        self.more_body = True
        self.response_started = False
        self.response_complete = False

    @property
    def message_event(self) -> DirectPost:
        """Return what uvicorn sets after each piece of the body, and when the client is gone."""
        return self

    def set(self) -> None:
        """Begin to answer when the body is complete; forget a request whose client is gone before that."""
        if self._task is not None or self._is_given_up:
            return
        if self.disconnected:
            self._line.tasks.discard(self)
        elif not self.more_body:
            self._task = self._line.create_task(self._answer())

    async def _answer(self) -> None:
        try:
            answer = await self._routes.answer(self._scope, self.body)
            content = self._bytes(answer)
            observe(answer.status, perf_counter() - self._began)
        except (Exception, asyncio.CancelledError):  # what it awaits may have been cancelled
            if self._is_given_up:
                raise
            log.exception("http.unexpected_error", path=self._scope["path"])
            content = self._bytes(UNEXPECTED)
            observe(UNEXPECTED.status, perf_counter() - self._began)
        self._end(content)

    def _bytes(self, answer: RawAnswer) -> bytes:
        return answered_bytes(answer, self._line.head(answer.status))

    def cancel(self, msg: object = None) -> None:  # noqa: ARG002 - as uvicorn calls it
        """Give up, because the process stops; uvicorn walks through the tasks meanwhile."""
        self.keep_alive, self._is_given_up = False, True
        if self._task is not None:
            self._task.cancel()
        self._line.call_soon(self._end, b"")

    def _end(self, answer: bytes) -> None:
        if not self.is_done:
            self.answer, self.is_done = answer, True
            self._line.tasks.discard(self)
            self._line.answered()


def answered_bytes(answer: RawAnswer, head: bytes) -> bytes:
    """Return an answer as it is sent; `head` is the status line and the headers of the server."""
    lines: list[Any] = [head]
    for name, value in answer.headers:
        lines += (name, b": ", value, b"\r\n")
    if answer.status != NO_CONTENT:
        lines.append(b"content-length: %d\r\n" % len(answer.body))
    lines += (b"\r\n", answer.body)
    return b"".join(lines)
