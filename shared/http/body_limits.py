"""How many bytes of a body may be read, by one request and by all requests of a process together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException

from shared.errors import ApiError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALL_BODY_BYTES: Final = 64 * 1024
"""What is read before the caller is known, and what a route takes that does not ask for more.

64 KiB is also where uvicorn stops to read ahead, so a smaller body saves no memory.
"""

UNKNOWN: Final = 2**63
"""The declared size of a body in chunks, which does not say how long it is."""

_READER: Final = "endcap.body"


def declared_bytes(scope: Scope) -> int:
    """Return what a request says of the size of its body: 0 without one, `UNKNOWN` in chunks."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else UNKNOWN
        if name == b"transfer-encoding":
            return UNKNOWN
    return 0


def too_large(limit: int) -> ApiError:
    """Return the 413 for a body of more than `limit` bytes."""
    return ApiError(413, "TooLarge", f"The body is larger than {limit} bytes; send it in smaller parts.")


class ReadingBudget:
    """Bytes of the large bodies that the requests of a process are reading at the same time."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.held_bytes = 0

    def take(self, size: int) -> None:
        """Count `size` bytes; ApiError 503, with the bytes counted, if all requests now hold too many."""
        self.held_bytes += size
        if self.held_bytes > self.most_bytes:
            detail = "Too many large requests are read at once; send the same request again in a moment."
            raise ApiError(503, "Unavailable", detail, retry_after=1)

    def give_back(self, size: int) -> None:
        """Count `size` bytes that were taken as free again."""
        self.held_bytes -= size


READING: Final = ReadingBudget(64 * 2**20)
"""The budget of this process; `HttpSettings` may set another limit."""


class BoundedBodies:
    """An ASGI application whose routes read at most `SMALL_BODY_BYTES`, unless they call `allow_bytes`.

    FastAPI's own `max_body_size` answers every request with a larger body by a 413 in plain text, also where
    the answer is a 401 or 404.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application."""
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
        """Receive a message; HTTPException 413 when the body is, or says that it is, above the limit."""
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
