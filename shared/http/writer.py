"""The transport of answers, which writes head and body together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

    from shared.http.protocol import BoundedProtocol

_MAX_JOINED_BYTES: Final = 64 * 1024
"""For a larger piece of body the copy would cost more than the write that it saves (about 10 µs)."""


class Writer:
    """A transport that holds the head of an answer until the first piece of its body.

    uvicorn writes them separately: two system calls and two TCP segments for a small answer.

    `close` first reads what the client is still sending: closing a socket with unread data resets the
    connection, and the client may lose the answer.
    """

    __slots__ = ("_held", "_protocol", "_send", "_started", "close", "is_closing")

    def __init__(self, protocol: BoundedProtocol, transport: asyncio.Transport) -> None:
        self._protocol = protocol
        self._send = transport.write
        self._held = b""
        self._started: object = None  # the request whose answer has started
        self.is_closing = protocol.is_closing
        self.close = protocol.close

    def write(self, data: bytes) -> None:
        """Send a piece of an answer; hold it if it is the head."""
        held = self._held
        if held:
            self._held = b""
            if len(data) <= _MAX_JOINED_BYTES:
                self._send(held + data)
                return
            self._send(held)
        else:
            request = self._protocol.answered
            if request is not None and request is not self._started and request.response_started:
                self._started = request
                self._held = data
                return
        self._send(data)

    def flush(self) -> None:
        """Send a head without a body: that of a HEAD request, or of an answer that was interrupted."""
        if self._held and not self.is_closing():
            held, self._held = self._held, b""
            self._send(held)
