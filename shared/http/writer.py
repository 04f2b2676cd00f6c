"""Where an answer leaves: head and body in one write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

    from shared.http.protocol import BoundedProtocol

_MAX_JOINED_BYTES: Final = 64 * 1024
"""Of a larger piece of body the copy costs as much as the write that it saves (arbitrary: about 10 µs)."""


class Writer:
    """The transport for a request, except that the head of an answer waits for the first piece of its body.

    uvicorn writes each on its own, which makes two system calls and two TCP segments of a small answer.

    `close` first reads what the client still sends: a socket that is closed with unread data resets the
    connection, and the client may lose the answer.
    """

    __slots__ = ("_held", "_protocol", "_send", "_started", "close", "is_closing")

    def __init__(self, protocol: BoundedProtocol, transport: asyncio.Transport) -> None:
        self._protocol = protocol
        self._send = transport.write
        self._held = b""
        self._started: object = None  # the request whose answer has begun
        self.is_closing = protocol.is_closing
        self.close = protocol.close

    def write(self, data: bytes) -> None:
        """Send a piece of an answer, or hold it if it is a head."""
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
        """Send a head whose body does not come: that of a HEAD request, or of an answer that breaks off."""
        if self._held and not self.is_closing():
            held, self._held = self._held, b""
            self._send(held)
