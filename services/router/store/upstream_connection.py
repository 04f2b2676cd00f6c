"""One connection to the recommender, on which requests are pipelined (RFC 9112, section 9.3.2)."""

from __future__ import annotations

import asyncio
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import httptools

from shared.http import UNKNOWN_PARAMETERS

if TYPE_CHECKING:
    import ssl

FORWARDED_HEADERS = frozenset(
    (
        b"content-type",
        b"x-recs-source",
        b"x-recommendation-id",
        b"x-recs-generation",
        b"x-experiment",
        b"x-variant",
        b"x-amzn-errortype",
        b"retry-after",
        UNKNOWN_PARAMETERS.encode(),
    )
)


class Reply(NamedTuple):
    """An answer of the recommender; `headers` are those that are passed on, with names in lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def message(self, head: bytes) -> bytes:
        """Return the whole HTTP message; `head` is the beginning of a 200: status line, server's headers."""
        if self.status != HTTPStatus.OK:
            head = b"%b\r\n%b" % (_status_line(self.status), head.partition(b"\r\n")[2])
        lines = b"".join([b"%b: %b\r\n" % header for header in self.headers])
        return b"%b%bcontent-length: %d\r\n\r\n%b" % (head, lines, len(self.body), self.body)


class UpstreamConnection(asyncio.Protocol):
    """Sends the requests of one turn of the loop together; answers come in the order of the requests."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._opening: asyncio.Task[None] | None = None
        self._outbox: list[bytes] = []
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""
        self.is_between_answers = True
        """False while the parser is within an answer."""
        self._used_at = loop.time()
        self.is_open = True
        self.waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        """Requests without an answer, with the times when they were sent."""

    def open(self, host: str, port: int, tls: ssl.SSLContext | None, timeout_seconds: float) -> None:
        """Connect in the background; requests may be sent at once."""
        self._opening = self._loop.create_task(self._connect(host, port, tls, timeout_seconds))

    async def _connect(self, host: str, port: int, tls: ssl.SSLContext | None, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._loop.create_connection(
                    lambda: self, host, port, ssl=tls, server_hostname=host if tls else None
                )
        except OSError as error:
            self._end(error)

    def send(self, message: bytes) -> asyncio.Future[Any]:
        """Send a request with the others of this turn of the loop; return the future of its answer.

        That is a `Reply`. The future raises OSError if the connection fails, and TimeoutError if it takes too
        long.
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        self.waiting.append((future, self._loop.time()))
        if not self._outbox and self._transport is not None:
            self._loop.call_soon(self._flush)
        self._outbox.append(message)
        return future

    def check(self, now: float, timeout_seconds: float, idle_seconds: float) -> None:
        """Fail the requests if the first has waited too long; close an idle connection."""
        if self.waiting:
            if now - self.waiting[0][1] > timeout_seconds:
                self._end(TimeoutError("no answer in time"))
        elif now - self._used_at > idle_seconds:
            self.close()

    def answer(self, reply: object) -> bool:
        """Return an answer to its request; without a request, end the connection and return False."""
        if not self.waiting:
            self._end(ConnectionError("an answer without a request"))
            return False
        future, _ = self.waiting.popleft()
        if not future.done():
            future.set_result(reply)
        self._used_at = self._loop.time()
        return True

    def close(self) -> None:
        """Close the connection."""
        self._end(ConnectionResetError("the connection was closed"))

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what waits."""
        # uvloop's transport has the methods of asyncio.Transport without being one.
        self._transport = cast("asyncio.Transport", transport)
        if self.is_open:
            self._flush()
        else:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse answers."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._end(ConnectionError(f"not an HTTP answer: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the waiting requests."""
        self._end(exc if isinstance(exc, OSError) else ConnectionResetError("closed by the recommender"))

    # The parser's side

    def on_message_begin(self) -> None:
        """Begin an answer."""
        self._headers, self._body, self.is_between_answers = [], b"", False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header that is passed on."""
        name = name.lower()
        if name in FORWARDED_HEADERS:
            self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._body = self._body + body if self._body else body

    def on_message_complete(self) -> None:
        """Return the answer to its request; an answer without a request ends the connection."""
        self.is_between_answers = True
        status = self._parser.get_status_code()
        if status < HTTPStatus.OK:
            return
        if not self.answer(Reply(status, self._headers, self._body)):
            return
        if not self._parser.should_keep_alive():
            self._end(ConnectionResetError("closed by the recommender"))

    def _flush(self) -> None:
        if self._transport is not None and self._outbox:
            messages, self._outbox = self._outbox, []
            self._transport.write(messages[0] if len(messages) == 1 else b"".join(messages))

    def _end(self, error: OSError) -> None:
        """Close the connection, and fail the requests that have no answer."""
        self.is_open = False
        self._outbox.clear()
        if self._transport is not None:
            self._transport.abort()
        while self.waiting:
            future, _ = self.waiting.popleft()
            if not future.done():
                future.set_exception(error)


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}".encode()
