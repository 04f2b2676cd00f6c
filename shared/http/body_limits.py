"""Limits of the bytes of a body that one request, and all requests of a process together, may read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException

from shared.errors import ApiError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALL_BODY_BYTES: Final = 64 * 1024
"""The largest body that is read before the caller is authenticated, and the default limit of a route.

uvicorn reads ahead 64 KiB, so a smaller limit would save no memory.
"""

UNKNOWN: Final = 2**63
"""The declared size of a chunked body, whose length is not known in advance."""

_READER: Final = "endcap.body"


def declared_bytes(scope: Scope) -> int:
    """Return the size in bytes that a request declares for its body: 0 without one, `UNKNOWN` for chunks."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else UNKNOWN
        if name == b"transfer-encoding":
            return UNKNOWN
    return 0


def too_large(limit: int) -> ApiError:
    """Return the error 413 for a body of more than `limit` bytes."""
    return ApiError(413, "TooLarge", f"The body is larger than {limit} bytes; send it in smaller parts.")


class ReadingBudget:
    """The memory for large bodies that the requests of a process read at the same time, in bytes."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.held_bytes = 0

    def take(self, size: int) -> None:
        """Count `size` bytes; raises ApiError 503, with the bytes counted, over the limit of the process."""
        self.held_bytes += size
        if self.held_bytes > self.most_bytes:
            detail = "Too many large requests are read at once; send the same request again in a moment."
            raise ApiError(503, "Unavailable", detail, retry_after=1)

    def give_back(self, size: int) -> None:
        """Subtract `size` bytes that were counted by `take`."""
        self.held_bytes -= size


READING: Final = ReadingBudget(64 * 2**20)
"""The budget of this process; `HttpSettings` sets its limit."""


class BoundedBodies:
    """ASGI middleware: routes read at most `SMALL_BODY_BYTES`, unless they call `allow_bytes`.

    FastAPI's own `max_body_size` answers every larger request with a 413 in plain text, even where the answer
    is a 401 or 404.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and (declared := declared_bytes(scope)) > SMALL_BODY_BYTES:
            reader = scope[_READER] = _Reader(receive, declared)
            receive = reader.receive
        await self._app(scope, receive, send)


def allow_bytes(scope: Scope, limit: int) -> None:
    """Let this request read a body of up to `limit` bytes."""
    if (reader := scope.get(_READER)) is not None:
        reader.limit = limit


class _Reader:
    def __init__(self, receive: Receive, declared: int) -> None:
        self.limit = SMALL_BODY_BYTES
        self._receive = receive
        self._size = 0 if declared == UNKNOWN else declared
        self._is_declared = declared != UNKNOWN

    async def receive(self) -> Message:
        """Return the next message; HTTPException 413 if the body is, or is declared, above the limit."""
        if self._is_declared and self._size > self.limit:
            raise self._too_large()
        message = await self._receive()
        if not self._is_declared:
            self._size += len(message.get("body", b""))
            if self._size > self.limit:
                raise self._too_large()
        return message

    def _too_large(self) -> HTTPException:
        # FastAPI turns any other error of reading a body into a 400.
        error = too_large(self.limit)
        return HTTPException(error.status, error.detail)
