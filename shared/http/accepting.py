"""Accept the connections that wait, many per turn of the event loop.

uvloop (0.23) accepts one connection per turn. Under load a turn takes up to a tenth of a second, so the last
of a thousand clients waited for ten seconds until its connection was accepted (measured).
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ACCEPTED_PER_TURN: Final = 64
"""Connections that one turn accepts, so that requests go on; arbitrary."""

log = structlog.get_logger()


def listeners(host: str, port: int) -> list[socket.socket]:
    """Return a socket, bound but not yet listening, for each address of a host; raises OSError."""
    sockets = []
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        bound = socket.socket(family, kind, protocol)
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sockets.append(bound)
        try:
            bound.bind(address)
        except OSError:
            for each in sockets:
                each.close()
            raise
    return sockets


class Acceptor:
    """Accepts further connections once the event loop has accepted one."""

    def __init__(self, sockets: Sequence[socket.socket], protocol: Callable[[], asyncio.Protocol]) -> None:
        """Make a `protocol` for each connection of the listening `sockets`."""
        self._sockets = sockets
        self._protocol = protocol
        self._is_scheduled = False
        self._tasks: set[asyncio.Task[Any]] = set()

    def connected(self) -> None:
        """Look for further connections in the next turn."""
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._accept)

    def _accept(self) -> None:
        self._is_scheduled = False
        loop = asyncio.get_running_loop()
        for listener in self._sockets:
            for _ in range(ACCEPTED_PER_TURN):
                try:
                    connection, _ = listener.accept()
                except OSError:  # none waits; or too many files are open, which uvloop handles
                    break
                connection.setblocking(False)
                task = loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
                self._tasks.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("http.not_accepted", error=repr(error))
