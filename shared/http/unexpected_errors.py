"""The answer to an error that nobody expected: a 500, after which the connection is as good as before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import structlog
from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BODY = orjson.dumps(
    {
        "error": "InternalError",
        "detail": "An unexpected error; it is in the service's log. The same request may work later.",
    }
)
_START = {
    "type": "http.response.start",
    "status": 500,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_BODY))],
}

log = structlog.get_logger()


class UnexpectedErrors:
    """An ASGI application that answers for another one where that raises.

    Starlette's own ServerErrorMiddleware answers and raises again, upon which uvicorn closes the connection,
    and with it what a proxy or a client has pipelined there. Only an answer that has begun ends like that:
    its body can't be completed. Costs about 0.3 µs.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except ClientDisconnect:
            log.info("http.client_gone", path=scope["path"])
        except Exception:
            log.exception("http.unexpected_error", path=scope["path"])
            if has_begun:
                raise
            await send(_START)
            await send({"type": "http.response.body", "body": _BODY})
