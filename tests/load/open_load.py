"""Requests of independent visitors: a constant rate over many connections, whatever the server does.

Reads a job as JSON from standard input and writes the result; `bench_overload` and `bench_outages` start it.
A request takes an idle connection; without one it waits, which its latency includes. An answer that comes
later than the deadline is late, as for a page that has given up. The sender may be late itself, because it
shares the machine with the server: a latency begins when a request is offered, and the lag until then is a
result too.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter, deque
from typing import Any

import httptools
import orjson
import uvloop

SOURCE = b"x-recs-source"
YIELD_EVERY = 16
"""Requests that a late sender offers between two looks at the answers; arbitrary."""


class Load:
    """Requests that are due, idle connections, and the results."""

    def __init__(self, count: int, deadline_seconds: float) -> None:
        self.finished = asyncio.Event()
        self.idle: deque[Connection] = deque()
        self.waiting: deque[tuple[bytes, float]] = deque()
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        self.late = 0
        self._count = self._left = count
        self._deadline_seconds = deadline_seconds

    def offer(self, request: bytes, due: float) -> None:
        """Send a request over an idle connection, or as soon as there is one."""
        if self.idle:
            self.idle.popleft().send(request, due)
        else:
            self.waiting.append((request, due))

    def completed(self, status: str, seconds: float, source: str) -> None:
        """Count an answer or a lost connection."""
        self.statuses[status] += 1
        if status == "200":
            self.latencies.append(seconds)
            self.late += seconds > self._deadline_seconds
            self.sources[source] += 1
        self._left -= 1
        if not self._left:
            self.finished.set()

    def next(self, connection: Connection) -> None:
        """Send the next waiting request over the connection, or keep it."""
        if self.waiting:
            connection.send(*self.waiting.popleft())
        else:
            self.idle.append(connection)


class Connection(asyncio.Protocol):
    """A connection with at most one pending request; a lost one is replaced."""

    def __init__(self, load: Load, port: int) -> None:
        self._load, self._port = load, port
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: Any = None
        self._due = 0.0
        self._is_pending = False
        self._source = ""

    def send(self, request: bytes, due: float) -> None:
        """Send a request."""
        self._due, self._is_pending, self._source = due, True, ""
        self._transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the next request."""
        self._transport = transport
        self._load.next(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """Count the pending request as an error, and connect again."""
        if self in self._load.idle:
            self._load.idle.remove(self)
        if self._is_pending:
            self._load.completed("lost", 0.0, "")
        if not self._load.finished.is_set():
            self._loop.create_task(connect(self._load, self._port))

    def data_received(self, data: bytes) -> None:
        """Parse the data."""
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the source of the answer."""
        if name == SOURCE:
            self._source = value.decode()

    def on_message_complete(self) -> None:
        """Report the complete answer, and send the next request unless the server closes."""
        self._is_pending = False
        status = str(self._parser.get_status_code())
        self._load.completed(status, time.monotonic() - self._due, self._source)
        if self._parser.should_keep_alive():
            self._load.next(self)


async def connect(load: Load, port: int) -> None:
    """Make a connection; try again while the server refuses it."""
    loop = asyncio.get_running_loop()
    while not load.finished.is_set():
        try:
            await loop.create_connection(lambda: Connection(load, port), "127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            return


async def drive(
    port: int,
    paths: list[str],
    headers: dict[str, str],
    rate: float,
    seconds: float,
    connections: int,
    deadline_seconds: float,
) -> dict[str, Any]:
    """Send GETs in turn at `rate` per second for `seconds`; wait at most 10 s for the last answers."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    wire = [f"GET {path} HTTP/1.1\r\nhost: bench\r\n{lines}\r\n".encode() for path in paths]
    count = max(int(rate * seconds), 1)
    load = Load(count, deadline_seconds)
    for begin in range(0, connections, 100):
        await asyncio.gather(*(connect(load, port) for _ in range(min(100, connections - begin))))
    used, began, lags = time.process_time(), time.monotonic(), []
    for number in range(count):
        due = began + number / rate
        now = time.monotonic()
        if due > now:
            await asyncio.sleep(due - now)
        elif number % YIELD_EVERY == 0:
            await asyncio.sleep(0)  # read answers, also while it is late
        now = time.monotonic()
        lags.append(max(now - due, 0.0))
        load.offer(wire[number % len(wire)], now)
    sent_seconds = time.monotonic() - began
    try:
        async with asyncio.timeout(10):
            await load.finished.wait()
    except TimeoutError:
        load.statuses["unanswered"] = count - sum(load.statuses.values())
        load.finished.set()
    latencies, lags = sorted(load.latencies) or [0.0], sorted(lags)
    return {
        "requests": count,
        "statuses": load.statuses,
        "sources": load.sources,
        "late": load.late,
        "seconds": sent_seconds,
        "cpu": time.process_time() - used,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[len(latencies) * 99 // 100],
        "lag": lags[len(lags) * 99 // 100],
    }


if __name__ == "__main__":
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sys.stdout.buffer.write(orjson.dumps(uvloop.run(drive(**orjson.loads(sys.stdin.buffer.read())))))
