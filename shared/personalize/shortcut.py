"""The short way of the AWS protocols: plain requests answered in raw ASGI, in front of a FastAPI application.

Both ways end in the same `RestJson.answer`, so there is nothing that they could differ in but speed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.http import SMALL_BODY_BYTES
from shared.personalize.protocols import RestJson

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Shortcut:
    """An ASGI application in front of another one."""

    def __init__(self, app: ASGIApp, routes: RestJson) -> None:
        """Hand to `app` what is no plain request for one of `routes`."""
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if not self._is_plain(scope):
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            return
        given = await self._routes.answer(scope, body)
        headers = [*given.headers, (b"content-length", b"%d" % len(given.body))]
        await send({"type": "http.response.start", "status": given.status, "headers": headers})
        await send({"type": "http.response.body", "body": given.body})

    def _is_plain(self, scope: Scope) -> bool:
        """A POST that says how long it is, is small, and comes from no page of a browser."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in self._routes.paths:
            return False
        headers = dict(scope["headers"])
        size = headers.get(b"content-length", b"")
        return b"origin" not in headers and size.isdigit() and int(size) <= SMALL_BODY_BYTES


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when the client has gone before it was sent."""
    chunks = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
