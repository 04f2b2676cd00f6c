"""Clients that occupy a server: endless headers, slow headers and bodies, idle connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

PIECE_BYTES = 64 * 1024
PIECES = 8
"""The pieces sent at once before the slow part: 512 KiB, more than the tracker's limit of a body."""

OPENING = 100
"""Connections opened at once; they fit into the backlog of the listener."""


@dataclass(frozen=True)
class Target:
    """The server, and a valid API key."""

    url: str
    key: str

    def head(self, *lines: str, key: str | None = None) -> bytes:
        """Return the request line and headers of an event, without the empty line that ends them."""
        sent = ["POST /v1/events HTTP/1.1", "Host: localhost", f"X-Api-Key: {key or self.key}", *lines]
        return "\r\n".join(sent).encode() + b"\r\n"


@dataclass
class Outcome:
    """The results of the connections: responses by status, and how many the server closed."""

    opened: int = 0
    closed: int = 0
    statuses: Counter[int] = field(default_factory=Counter)


Send = Callable[[bytes], Awaitable[None]]
Behaviour = Callable[[Target, Send], Awaitable[None]]


async def endless_header(target: Target, send: Send) -> None:
    """Send one header whose value does not end."""
    await send(target.head()[:-2] + b"\r\nx-endless: ")
    await _fast_then_slowly(send, b"a" * PIECE_BYTES, b"a")


async def endless_url(_: Target, send: Send) -> None:
    """Send a path that does not end."""
    await send(b"GET /")
    await _fast_then_slowly(send, b"a" * PIECE_BYTES, b"a")


async def tiny_headers(target: Target, send: Send) -> None:
    """Send thousands of headers of a few bytes each."""
    await send(target.head())
    await _fast_then_slowly(send, b"a: b\r\n" * (PIECE_BYTES // 6), b"a: b\r\n")


async def slow_header(target: Target, send: Send) -> None:
    """Send one byte of the headers each second."""
    await _bytewise(send, target.head("X-Slow: " + "a" * 10_000))


async def slow_body(target: Target, send: Send) -> None:
    """Send a body of 400 kB, one byte each second."""
    await send(target.head("Content-Length: 400000") + b"\r\n")
    await _bytewise(send, b" " * 10_000)


async def unknown_key(target: Target, send: Send) -> None:
    """Send 300 kB at once with an unknown key, then one byte each second."""
    await send(target.head("Content-Length: 400000", key="ek_ingest_nobody") + b"\r\n" + b" " * 300_000)
    await _bytewise(send, b" " * 10_000)


async def endless_chunks(target: Target, send: Send) -> None:
    """Send a chunked body without an end: 400 kB at once, then a byte each second."""
    await send(target.head("Transfer-Encoding: chunked") + b"\r\n")
    for _ in range(25):
        await send(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
    while True:
        await send(b"1\r\n \r\n")
        await asyncio.sleep(1)


async def endless_trailers(target: Target, send: Send) -> None:
    """Send a complete chunked body, and trailers that do not end."""
    await send(target.head("Transfer-Encoding: chunked") + b"\r\n2\r\n[]\r\n0\r\n")
    await _fast_then_slowly(send, b"a: b\r\n" * (PIECE_BYTES // 6), b"a: b\r\n")


async def pipelined(_: Target, send: Send) -> None:
    """Send requests without end, and read no response."""
    await _fast_then_slowly(send, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1_500, b"")


async def idle(_: Target, send: Send) -> None:
    """Send nothing."""
    await send(b"")


BEHAVIOURS: dict[str, Behaviour] = {
    behaviour.__name__.replace("_", " "): behaviour
    for behaviour in (
        endless_header,
        endless_url,
        tiny_headers,
        slow_header,
        slow_body,
        unknown_key,
        endless_chunks,
        endless_trailers,
        pipelined,
        idle,
    )
}


def attack(target: Target, names: Sequence[str], connections: int, seconds: float) -> dict[str, Outcome]:
    """Open `connections` of each behaviour for `seconds`, or until the server closes them."""
    return asyncio.run(_attack(target, names, connections, seconds))


async def _attack(
    target: Target, names: Sequence[str], connections: int, seconds: float
) -> dict[str, Outcome]:
    outcomes = {name: Outcome() for name in names}
    opening = asyncio.Semaphore(OPENING)
    clients = [
        asyncio.create_task(_connect(target, BEHAVIOURS[name], opening, outcome))
        for name, outcome in outcomes.items()
        for _ in range(connections)
    ]
    await asyncio.wait(clients, timeout=seconds)
    for client in clients:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    return outcomes


async def _connect(
    target: Target, behaviour: Behaviour, opening: asyncio.Semaphore, outcome: Outcome
) -> None:
    address = urlsplit(target.url)
    async with opening:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
    outcome.opened += 1

    async def send(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    acting = asyncio.create_task(_ignoring_errors(behaviour(target, send)))
    try:
        if behaviour is pipelined:
            await acting
        answer = await reader.read(PIECE_BYTES)
        if answer.startswith(b"HTTP/1.1 "):
            outcome.statuses[int(answer[9:12])] += 1
        while await reader.read(PIECE_BYTES):
            pass
        outcome.closed += 1
    except OSError:
        outcome.closed += 1
    finally:
        acting.cancel()
        writer.transport.abort()


async def _ignoring_errors(acting: Awaitable[None]) -> None:
    with contextlib.suppress(OSError):  # the server has closed; the reader sees it too
        await acting


async def _fast_then_slowly(send: Send, piece: bytes, byte: bytes) -> None:
    for _ in range(PIECES):
        await send(piece)
    while True:
        await asyncio.sleep(1)
        await send(byte)


async def _bytewise(send: Send, data: bytes) -> None:
    for place in range(len(data)):
        await send(data[place : place + 1])
        await asyncio.sleep(1)


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB; raise ProcessLookupError if it has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)
