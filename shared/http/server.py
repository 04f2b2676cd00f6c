"""uvicorn with the configuration of every process."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
import time
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
import uvicorn

from shared.http.accepting import Acceptor, listeners
from shared.http.answer_times import TimedAnswers
from shared.http.body_limits import READING
from shared.http.connections import Connections
from shared.http.protocol import BoundedProtocol
from shared.http.shutdown import SHUTDOWN

if TYPE_CHECKING:
    import socket
    from types import FrameType

    from starlette.types import ASGIApp

    from shared.settings import HttpSettings

STOP_SECONDS: Final = 5
"""Time that running requests may take after a signal; arbitrary."""

STARTUP_FAILURE: Final = 3
"""The exit status of a process that could not start; that of uvicorn's own command."""

DATE_SECONDS: Final = 1.0
"""Interval between updates of the header `date`; its resolution is a second."""

OTHER_DESCRIPTORS: Final = 512
"""File descriptors for Kafka, Postgres, Redis, files, and `SURPLUS` connections; arbitrary."""


log = structlog.get_logger()

MAX_MESSAGE_BYTES: Final = 64 * 1024
"""The largest message of a WebSocket; as the largest body of a GraphQL request."""


def run(app: ASGIApp, host: str, port: int, limits: HttpSettings, saturated_status: int = 429) -> None:
    """Serve HTTP/1.1, and WebSockets if `app` has a class for them, until a signal ends the process.

    A saturated process refuses requests with `saturated_status`.
    """
    READING.most_bytes = limits.http_max_reading_bytes
    connections = Connections(limits, _most_connections(), saturated_status)
    connections.websocket = getattr(app, "websocket", None)
    config = uvicorn.Config(
        TimedAnswers(app),
        host=host,
        port=port,
        loop="uvloop",
        http=partial(BoundedProtocol, connections),  # type: ignore[arg-type] # uvicorn only calls it
        ws="none",  # `BoundedProtocol` makes WebSockets
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # The client's address is that of the connection, whatever X-Forwarded-For says.
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    server = QuietServer(config, connections)
    try:
        sockets = listeners(host, port)
    except OSError as error:
        log.error("http.not_bound", host=host, port=port, error=str(error))  # noqa: TRY400 - it says all
        sys.exit(STARTUP_FAILURE)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets)
    if not server.started:
        sys.exit(STARTUP_FAILURE)


class QuietServer(uvicorn.Server):
    """uvicorn's server, which sleeps without connections; uvicorn's own wakes up ten times a second."""

    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self._connections = connections
        self._awake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        connections.first = self._connected
        connections.server_state = self.server_state

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and accept more than one connection per turn of the loop."""
        await super().startup(sockets)
        if sockets:
            self._connections.accepted = Acceptor(sockets, self._protocol).connected

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg] # as uvicorn calls it
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def main_loop(self) -> None:
        """Return when the process must end; update the header `date` while there are connections."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            self._awake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DATE_SECONDS if self._connections.open else None):
                    await self._awake.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End answers that have no end of their own, and wait for all others."""
        SHUTDOWN.begin()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal, and wake the loop."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._awake.set)

    def _connected(self) -> None:
        """Update the header `date` before the first request after a pause."""
        date = formatdate(time.time(), usegmt=True).encode()
        self.server_state.default_headers = [(b"date", date), *self.config.encoded_headers]
        self._awake.set()


def _most_connections() -> int:
    """Return the number of connections for which the process has file descriptors."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(descriptors - OTHER_DESCRIPTORS, OTHER_DESCRIPTORS)
