"""uvicorn's WebSocket protocol as one of the connections of a process. It needs the package `websockets`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from shared.http.connections import REFUSED, SWEEP_SECONDS, Phase

if TYPE_CHECKING:
    from shared.http.connections import Connections

_LOGGER: Final = logging.getLogger("shared.http.websockets")
# uvicorn logs the query of a handshake, which may hold a key, for every connection.
_LOGGER.setLevel(logging.WARNING)


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket. It counts as a connection, and is aborted if the client does not read.

    Pings of uvicorn find out whether the client is still there.
    """

    phase: Final = Phase.ANSWER

    def __init__(self, shared: Connections, client_host: str, **options: Any) -> None:
        """`options` are those of uvicorn."""
        super().__init__(**options)
        self.logger = _LOGGER
        self._shared = shared
        self._client_host = client_host
        self._unsent_bytes = 0
        self._stalled_seconds = 0.0

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection."""
        self._shared.remove(self, self._client_host)
        self._shared.websockets -= 1
        super().connection_lost(exc)

    def check(self, now: float, allowed_seconds: tuple[float, ...]) -> None:  # noqa: ARG002 - as BoundedProtocol
        """Abort the connection if the client has read nothing of what was sent for too long."""
        unsent = self.transport.get_write_buffer_size()
        is_stalled = 0 < unsent >= self._unsent_bytes
        self._stalled_seconds = self._stalled_seconds + SWEEP_SECONDS if is_stalled else 0.0
        self._unsent_bytes = unsent
        if self._stalled_seconds > self._shared.limits.http_write_seconds:
            REFUSED.labels("unread_answer").inc()
            self.transport.abort()
