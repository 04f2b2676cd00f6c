"""Subscriptions over a WebSocket, in the real-time protocol of AWS AppSync.

https://docs.aws.amazon.com/appsync/latest/devguide/real-time-websocket-client.html. The client opens
`<url>/realtime` with the sub-protocol `graphql-ws`; its key is in the query parameter `header`, as JSON in
base64, or in a sub-protocol `header-<base64url>`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from services.recommender.api.graphql.connection import KEEP_ALIVE_SECONDS, RealtimeConnection
from services.recommender.api.graphql.credentials import principal_of
from services.recommender.api.graphql.endpoint import PATH
from services.recommender.api.graphql.errors import RequestError
from services.recommender.api.graphql.handshake import as_request, handshake_header

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from services.recommender.api.graphql.documents import Documents
    from services.recommender.api.graphql.subscriptions import Subscriptions
    from shared.auth import Authenticator

REALTIME_PATH: Final = f"{PATH}/realtime"
PROTOCOL: Final = "graphql-ws"
_POLICY_VIOLATION: Final = 1008

log = structlog.get_logger()


class Realtime:
    """An ASGI application that answers WebSockets of `/graphql/realtime`, and passes the rest on to `app`."""

    def __init__(
        self, app: ASGIApp, documents: Documents, subscriptions: Subscriptions, authenticator: Authenticator
    ) -> None:
        self._app = app
        self._documents = documents
        self._subscriptions = subscriptions
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a WebSocket, or pass the request on."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        await receive()
        if scope["path"] != REALTIME_PATH or PROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
        connection = RealtimeConnection(self._documents, self._subscriptions, self._authenticator)
        sender = asyncio.create_task(_send_all(connection, send))
        keeper = asyncio.create_task(self._keep_alive(connection, scope))
        reader = asyncio.create_task(self._read_all(connection, scope, receive))
        try:
            await asyncio.wait({sender, keeper, reader}, return_when=asyncio.FIRST_COMPLETED)
            if not connection.is_empty:
                await asyncio.wait({sender}, timeout=1.0)
        finally:
            connection.close()
            for task in (sender, keeper, reader):
                task.cancel()
            ended = await asyncio.gather(sender, keeper, reader, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                log.warning("realtime.failed", error=repr(error))
        if reader.cancelled() or reader.exception() is not None:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    async def _read_all(self, connection: RealtimeConnection, scope: Scope, receive: Receive) -> None:
        while (message := await receive())["type"] == "websocket.receive":
            text = message.get("text")
            if not connection.is_initialized:
                try:
                    await self._check(scope)
                except RequestError as error:
                    connection.refuse(error)
                    await asyncio.sleep(KEEP_ALIVE_SECONDS)
            await connection.receive(text if text is not None else message.get("bytes") or b"", scope)

    async def _keep_alive(self, connection: RealtimeConnection, scope: Scope) -> None:
        """Send a message every minute, and check that the key is still valid."""
        while True:
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
            try:
                await self._check(scope)
            except RequestError as error:
                if error.status != 503:
                    connection.refuse(error)
                    return
            connection.keep_alive()

    async def _check(self, scope: Scope) -> None:
        """Raise RequestError if the caller may not subscribe."""
        await principal_of(self._authenticator, as_request(scope, handshake_header(scope)), b"")


async def _send_all(connection: RealtimeConnection, send: Send) -> None:
    while (message := await connection.next_message()) is not None:
        await send({"type": "websocket.send", "text": message.decode()})
