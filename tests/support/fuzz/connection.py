"""A persistent connection to a server, for requests that no HTTP client would send."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httptools

from tests.support.waiting import PATIENCE


class ConnectionBroken(Exception):
    """The server closed the connection before it responded, or sent invalid HTTP."""


@dataclass
class Answer:
    """A response."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    closes: bool = False
    """True if the server closes the connection after this response."""

    def header(self, name: bytes) -> bytes:
        """Return the first header of this name, or an empty value."""
        return next((value for known, value in self.headers if known.lower() == name), b"")


class Connection:
    """Sends requests one after another and reads the responses; reconnects after `close`."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def is_open(self) -> bool:
        """Return whether the next request reuses a connection."""
        return self._streams is not None

    async def send(self, request: bytes) -> Answer:
        """Return the response; raise ConnectionBroken if there is none, TimeoutError if it is late."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(request)
                drained = asyncio.ensure_future(writer.drain())
                try:
                    return await self._answer(reader)
                finally:
                    drained.cancel()
        except (OSError, EOFError, httptools.HttpParserError) as error:
            if isinstance(error, TimeoutError):
                raise
            await self.close()
            raise ConnectionBroken(repr(error)) from error

    async def close(self) -> None:
        """Close the connection, if one is open."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        reading = _Reading()
        while not reading.is_complete:
            data = await reader.read(2**16)
            if not data:
                raise EOFError(f"the connection ended after {len(reading.answer.body)} bytes of a body")
            reading.parser.feed_data(data)
        reading.answer.closes = b"close" in reading.answer.header(b"connection").lower()
        return reading.answer


class _Reading:
    """The final response, assembled from the callbacks of httptools; interim responses (100) are skipped."""

    def __init__(self) -> None:
        self.answer = Answer()
        self.is_complete = False
        self.parser = httptools.HttpResponseParser(self)

    def on_message_begin(self) -> None:
        """Discard an interim response."""
        self.answer = Answer()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self.answer.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Keep the status."""
        self.answer.status = self.parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body."""
        self.answer.body += data

    def on_message_complete(self) -> None:
        """Set `is_complete` after a final response."""
        self.is_complete = self.answer.status >= 200
