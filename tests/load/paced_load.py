"""Requests at a steady rate, whatever the server does: what waits, waits in the measured time.

Reads a job as JSON from standard input and writes what it saw; `bench_personalize` starts it as a process.
It shares the machine with what it measures, so it does little for each request and says what it took itself.
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
    """Requests that are due, the connections that carry them, and what came of it."""

    def __init__(self, count: int) -> None:
        self.finished = asyncio.Event()
        """Set when all are answered, or can't be any more."""
        self._count = count
        # In turn, since a server closes a connection that is not used for some seconds.
        self.idle: deque[Connection] = deque()
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._clock = asyncio.get_running_loop().time

    def offer(self, request: bytes, due: float) -> None:
        """Send a request over an idle connection, or as soon as there is one."""
        if self.idle:
            self.idle.popleft().ask(request, due)
        else:
            self._waiting.append((request, due))

    def answered(self, connection: Connection, status: str) -> None:
        """Note an answer; its connection takes the next request."""
        self.statuses[status] += 1
        self.latencies.append(self._clock() - connection.due)
        if len(self.latencies) == self._count:
            self.finished.set()
        if self._waiting:
            connection.ask(*self._waiting.popleft())
        else:
            self.idle.append(connection)


class Connection(asyncio.Protocol):
    """One kept connection, with at most one request on its way."""

    def __init__(self, load: Load) -> None:
        self.due = 0.0
        self._load = load
        self._parser = httptools.HttpResponseParser(self)
        self._transport: Any = None

    def ask(self, request: bytes, due: float) -> None:
        """Send a request."""
        self.due = due
        self._transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready to ask."""
        self._transport = transport
        self._load.idle.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        """With fewer connections the rest would say nothing: the statuses say why it ends."""
        self._load.statuses[repr(error or ConnectionResetError("closed by the server"))] += 1
        self._load.finished.set()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        self._load.answered(self, str(self._parser.get_status_code()))


async def drive(port: int, wire: list[str], rate: float, seconds: float) -> dict[str, Any]:
    """Send the requests in turn at `rate` per second; every latency counts from when its turn was."""
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
