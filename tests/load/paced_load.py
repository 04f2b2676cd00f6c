"""Requests at a constant rate, whatever the server does: latencies include the wait for a connection.

Reads a job as JSON from standard input and writes the result; `bench_personalize` starts it as a process.
It shares the machine with the server, so it does little for each request and reports its own CPU time.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import time
from collections import Counter, deque
from typing import Any

import httptools
import orjson
import uvloop

CONNECTIONS = 64


class Load:
    """Requests that are due, the connections that carry them, and the results."""

    def __init__(self, count: int) -> None:
        self.finished = asyncio.Event()
        """Set when all have a response, or a connection is lost."""
        self._count = count
        # Used in turn, since servers close idle connections after some seconds.
        self.idle: deque[Connection] = deque()
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._clock = asyncio.get_running_loop().time

    def offer(self, request: bytes, due: float) -> None:
        """Send a request over an idle connection, or as soon as there is one."""
        if self.idle:
            self.idle.popleft().send(request, due)
        else:
            self._waiting.append((request, due))

    def completed(self, connection: Connection, status: str) -> None:
        """Count a response, and send the next request over its connection."""
        self.statuses[status] += 1
        self.latencies.append(self._clock() - connection.due)
        if len(self.latencies) == self._count:
            self.finished.set()
        if self._waiting:
            connection.send(*self._waiting.popleft())
        else:
            self.idle.append(connection)


class Connection(asyncio.Protocol):
    """A persistent connection with at most one pending request."""

    def __init__(self, load: Load) -> None:
        self.due = 0.0
        self._load = load
        self._parser = httptools.HttpResponseParser(self)
        self._transport: Any = None

    def send(self, request: bytes, due: float) -> None:
        """Send a request."""
        self.due = due
        self._transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Add the connection to the idle ones."""
        self._transport = transport
        self._load.idle.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        """End the load: figures of fewer connections are not comparable. The statuses name the error."""
        self._load.statuses[repr(error or ConnectionResetError("closed by the server"))] += 1
        self._load.finished.set()

    def data_received(self, data: bytes) -> None:
        """Parse the data."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Report the complete response."""
        self._load.completed(self, str(self._parser.get_status_code()))


async def drive(port: int, wire: list[str], rate: float, seconds: float) -> dict[str, Any]:
    """Send the requests in turn at `rate` per second; latencies count from the time a request was due."""
    requests = [base64.b64decode(text) for text in wire]
    count = int(rate * seconds)
    loop, load = asyncio.get_running_loop(), Load(count)
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Connection(load), "127.0.0.1", port)
    used = time.process_time()
    began = loop.time()
    for number in range(count):
        due = began + number / rate
        if (wait := due - loop.time()) > 0:
            await asyncio.sleep(wait)
        load.offer(requests[number % len(requests)], due)
    await load.finished.wait()
    latencies = sorted(load.latencies)
    return {
        "statuses": load.statuses,
        "seconds": loop.time() - began,
        "cpu": time.process_time() - used,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[len(latencies) * 99 // 100],
        "worst": latencies[-1],
    }


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(uvloop.run(drive(**orjson.loads(sys.stdin.buffer.read())))))
