"""The answer to an unexpected exception: a 500, which keeps the connection open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import orjson
import structlog
from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class _Answer(NamedTuple):
    """The answer to a request that has raised an exception."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


UNEXPECTED: Final = _Answer(
    500,
    [(b"content-type", b"application/json")],
    orjson.dumps(
        {
            "error": "InternalError",
            "detail": "An unexpected error; it is in the service's log. The same request may work later.",
        }
    ),
)
_START = {
    "type": "http.response.start",
    "status": UNEXPECTED.status,
    "headers": [*UNEXPECTED.headers, (b"content-length", b"%d" % len(UNEXPECTED.body))],
}

log = structlog.get_logger()


class UnexpectedErrors:
    """ASGI middleware that answers 500 if the application raises an exception.

    Starlette's ServerErrorMiddleware answers and raises again, so that uvicorn closes the connection, and
    fails the requests that a proxy has pipelined on it. Here only an answer that has started raises again,
    since its body can't be completed. Costs about 0.3 µs.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_started = False

        async def send_and_note(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except ClientDisconnect:
            log.info("http.client_gone", path=scope["path"])
        except Exception:
            log.exception("http.unexpected_error", path=scope["path"])
            if has_started:
                raise
            await send(_START)
            await send({"type": "http.response.body", "body": UNEXPECTED.body})
