"""Fast paths: busy routes answered in raw ASGI, in front of the FastAPI application that documents them.

For a PutEvents request of ten events FastAPI takes a third of the CPU time (docs/decisions/0014-http).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.http.body_limits import SMALL_BODY_BYTES
from shared.http.cors import Cors
from shared.http.raw_routes import NO_CONTENT
from shared.http.unexpected_errors import UnexpectedErrors
from shared.observability import tracing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

    from shared.http.direct import DirectPath
    from shared.http.raw_routes import RawRoutes
    from shared.http.websockets import BoundedWebSocket
    from shared.settings import HttpSettings


class FastPathApplication:
    """A fast path with its FastAPI application, readable by the browser pages that CORS allows."""

    def __init__(
        self,
        front: ASGIApp,
        app: FastAPI,
        http: HttpSettings,
        websocket: type[BoundedWebSocket] | None = None,
        direct: DirectPath | None = None,
        direct_posts: Sequence[RawRoutes] = (),
    ) -> None:
        """`front` answers first and passes the other requests on to `app`.

        It also answers WebSockets if there is a class for their connections. `direct` answers simple requests
        before `front`, under the server of `shared.http.server`; so do the first of `direct_posts` with their
        path to small POSTs, as `front` would.

        Unexpected errors of `front` become a 500 here; those of `app` never leave it.
        """
        self._direct = direct
        self._direct_posts = direct_posts
        self._guarded = Cors(UnexpectedErrors(front), http.cors_origins)
        self.app = app
        self.websocket = websocket

    @property
    def direct(self) -> DirectPath | None:
        """Return the direct path; None while spans are exported, which it does not make."""
        return None if tracing.exporting() else self._direct

    @property
    def direct_posts(self) -> Sequence[RawRoutes]:
        """Return the routes of direct POSTs; none while spans are exported, which they do not make."""
        return () if tracing.exporting() else self._direct_posts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._guarded(scope, receive, send)

    def openapi(self) -> dict[str, object]:
        """Return the OpenAPI document of every route, those with a fast path included."""
        return self.app.openapi()


class RawFastPath:
    """Answers plain requests in raw ASGI and passes all others on: AWS protocols and wire formats of events.

    The routes of FastAPI call the same `RawRoutes.answer`, so both ways differ in nothing but speed.
    """

    def __init__(self, app: ASGIApp, routes: RawRoutes, *, of_pages: bool = False) -> None:
        """Pass to `app` what is not a plain request for one of `routes`.

        With `of_pages`, requests of pages in browsers are answered here too.
        """
        self._app = app
        self._routes = routes
        self._of_pages = of_pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if not self._is_plain(scope):
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            return
        answer = await self._routes.answer(scope, body)
        headers = answer.headers
        if answer.status != NO_CONTENT:
            headers = [*headers, (b"content-length", b"%d" % len(answer.body))]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    def _is_plain(self, scope: Scope) -> bool:
        """Return whether it is a small POST with a content-length, of a client that is answered here."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in self._routes.paths:
            return False
        headers = dict(scope["headers"])
        size = headers.get(b"content-length", b"")
        is_answered = self._of_pages or b"origin" not in headers
        return is_answered and size.isdigit() and int(size) <= SMALL_BODY_BYTES


async def _body(receive: Receive) -> bytes | None:
    """Return the whole body; None if the client disconnects before its end."""
    chunks = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
