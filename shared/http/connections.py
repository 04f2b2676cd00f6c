"""The HTTP connections of a process: their number, and the timeouts of each.

A sweep checks all of them twice a second, about 0.3 ms for 1,000 (estimated). A timer for each request would
cost more than the rest of this module.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from shared.http.saturation import CROWD, Refusals, Saturation
from shared.observability import counter, gauge

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send
    from uvicorn.server import ServerState

    from shared.http.protocol import BoundedProtocol
    from shared.http.websockets import BoundedWebSocket
    from shared.settings import HttpSettings

SWEEP_SECONDS: Final = 0.5
DRAIN_SECONDS: Final = 5.0
"""Time that the rest of a body is read and dropped after an early answer; nginx's lingering_timeout."""

CLOSING_SECONDS: Final = 2.0
"""Time that a client may take to read the answer before its connection is aborted; arbitrary."""

CROWDED_SHARE: Final = 0.75
"""Above this share of the connections idle ones are closed after `CROWDED_SECONDS`; arbitrary."""

CROWDED_SECONDS: Final = 1.0
SURPLUS: Final = 256
"""Connections above the limit that get a 503 or the answer of a probe; others are aborted. Arbitrary."""

_OK_LINE: Final = b"HTTP/1.1 200 OK\r\n"
PROBES: Final = frozenset({b"/livez", b"/readyz", b"/health", b"/metrics"})

CONNECTIONS = gauge("endcap_http_connections", "Open HTTP connections.")
REFUSED = counter(
    "endcap_http_refused_total",
    "Connections and requests that ended before an application had received them completely.",
    ["reason"],
)


class Phase(IntEnum):
    """The state of a connection: the next thing it waits for."""

    NEW = 0
    IDLE = 1
    HEAD = 2
    BODY = 3
    DRAIN = 4
    ANSWER = 5
    CLOSING = 6


class Connections:
    """The connections of a process and their limits."""

    def __init__(
        self, limits: HttpSettings, most_connections: int | None = None, saturated_status: int = 429
    ) -> None:
        """`most_connections` is the number for which the process has file descriptors.

        `saturated_status` is the status of requests above a limit of the process: 429 or 503.
        """
        self.limits = limits
        self.saturation = Saturation(
            limits.http_max_wait_milliseconds / 1000,
            limits.http_max_queue_milliseconds / 1000,
            self._answers,
        )
        self.server_state: ServerState | None = None
        """The state of the server, which counts answers."""
        self.refusals = Refusals(saturated_status)
        self.most = min(limits.http_max_connections, most_connections or limits.http_max_connections)
        self.open: set[BoundedProtocol | BoundedWebSocket] = set()
        self.websocket: type[BoundedWebSocket] | None = None
        """The class of connections that upgrade; without one, an upgrade is answered as HTTP."""
        self.first: Callable[[], None] = lambda: None
        """Called when the first connection after none is made."""
        self.accepted: Callable[[], None] = lambda: None
        """Called for each connection that was accepted."""
        self.reading = 0
        """Connections that waited for a body at the last sweep; `http_max_requests` does not count them."""
        self.streaming = 0
        """Connections whose answer had begun at the last sweep and lasted, as a stream's does."""
        self.websockets = 0
        """Open WebSockets, whose tasks last as long as they do; `http_max_requests` does not count them."""
        self._by_client: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None
        self._default_headers: list[tuple[bytes, bytes]] | None = None
        self._ok_head = b""
        CONNECTIONS.set_function(lambda: len(self.open))

    def ok_head(self, default_headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return the beginning of a 200: the status line, and headers of the server such as `date`."""
        if default_headers is not self._default_headers:
            self._default_headers = default_headers
            lines = [b"%b: %b\r\n" % header for header in default_headers]
            self._ok_head = _OK_LINE + b"".join(lines)
        return self._ok_head

    def head(self, status_line: bytes, default_headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return the same with another status line, which ends with CR and LF."""
        return status_line + self.ok_head(default_headers)[len(_OK_LINE) :]

    def add(self, connection: BoundedProtocol, client: str) -> bool | None:
        """Count a connection: True if it may send requests, False to answer 503, None to abort it."""
        self.accepted()
        if len(self.open) >= self.most + SURPLUS:
            REFUSED.labels("connections").inc()
            return None
        if not self.open:
            self.first()
        self.open.add(connection)
        self._by_client[client] += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)
        of_client = self._by_client[client]
        return len(self.open) <= self.most and of_client <= self.limits.http_max_connections_per_client

    def _answers(self) -> int:
        return 0 if self.server_state is None else self.server_state.total_requests

    @property
    def idle_tasks(self) -> int:
        """Return the number of tasks that wait for a body, send a stream, or belong to a WebSocket."""
        return self.reading + self.streaming + self.websockets

    def upgraded(self, connection: BoundedProtocol, client: str, options: dict[str, Any]) -> BoundedWebSocket:
        """Return the WebSocket that takes the place of a connection."""
        assert self.websocket is not None
        websocket = self.websocket(self, client, **options)
        self.open.discard(connection)
        self.open.add(websocket)
        self.websockets += 1
        return websocket

    def overload(self, working: int) -> str:
        """Return why a new request is refused while `working` are in progress: busy, saturated; "" if not."""
        if working > CROWD:
            self.saturation.measure()
        if working >= self.limits.http_max_requests:
            return "busy"
        return "saturated" if self.saturation.refuses_above(working) else ""

    def remove(self, connection: BoundedProtocol | BoundedWebSocket, client: str) -> None:
        """Remove a connection that has ended."""
        if connection not in self.open:
            return
        self.open.remove(connection)
        self._by_client[client] -= 1
        if not self._by_client[client]:
            del self._by_client[client]

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep) if self.open else None
        now = loop.time()
        allowed = self._allowed_seconds()
        reading = streaming = 0
        for connection in list(self.open):
            connection.check(now, allowed)
            reading += connection.phase == Phase.BODY
            streaming += _is_streaming(connection, now)
        self.reading, self.streaming = reading, streaming

    def _allowed_seconds(self) -> tuple[float, ...]:
        """Return how many seconds a connection may stay in each phase, in the order of `Phase`."""
        limits = self.limits
        idle = limits.http_idle_seconds
        if len(self.open) > CROWDED_SHARE * self.most:
            idle = min(idle, CROWDED_SECONDS)
        return (
            limits.http_header_seconds,
            idle,
            limits.http_header_seconds,
            limits.http_body_seconds,
            DRAIN_SECONDS,
            float("inf"),
            CLOSING_SECONDS,
        )

    async def busy(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as an ASGI application
        """Refuse a request as an ASGI application does, and close the connection."""
        REFUSED.labels("busy").inc()
        await self.refusals.send(scope["headers"], send)


def _is_streaming(connection: BoundedProtocol | BoundedWebSocket, now: float) -> bool:
    """Return whether an answer began before the last sweep and lasts; WebSockets are counted elsewhere."""
    cycle = getattr(connection, "answered", None)
    if cycle is None or connection.phase != Phase.ANSWER or not cycle.response_started:
        return False
    since = getattr(connection, "since", 0.0)
    return not cycle.response_complete and 0.0 < since <= now - SWEEP_SECONDS
