"""Hand a connection of uvicorn's HTTP protocol over to a WebSocket protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

MAX_TARGET_BYTES: Final = 4096
"""Bytes of the path and query of an upgrade; the WebSocket library reads lines of 8 KiB."""

_OF_BODIES: Final = (b"content-length", b"transfer-encoding")


class UpgradingProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with the request and the connection of an upgrade apart from its own.

    uvicorn reads the headers again whenever it has to know whether a request upgrades.
    """

    is_upgrade = False
    """True while the request that is being read upgrades to a WebSocket."""

    def _should_upgrade(self) -> bool:
        return self.is_upgrade

    def wants_websocket(self) -> bool:
        """Return whether the request, whose headers are complete, is the handshake of a WebSocket.

        Any other request with the same headers, or with a longer target, is answered as HTTP/1.1.
        """
        return (
            bool(self.parser.should_upgrade())
            and self._get_upgrade() == b"websocket"
            and self.parser.get_method() == b"GET"
            and len(self.url) <= MAX_TARGET_BYTES
            and not any(name in _OF_BODIES for name, _ in self.headers)
        )

    def hand_over(self, websocket: asyncio.Protocol, transport: asyncio.Transport) -> None:
        """Let `websocket` read the request again, and everything after it."""
        self.connections.discard(self)
        lines = [b"GET ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            lines += [name, b": ", value, b"\r\n"]
        websocket.connection_made(transport)
        websocket.data_received(b"".join([*lines, b"\r\n"]))
        transport.set_protocol(websocket)
