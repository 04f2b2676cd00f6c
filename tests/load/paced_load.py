"""Requests at a steady rate, whatever the server does: what waits, waits in the measured time.

Reads a job as JSON from standard input and writes what it saw; `bench_personalize` starts it as a process.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from typing import Any

import httptools
import orjson
import uvloop

CONNECTIONS = 64


class Connection(asyncio.Protocol):
    """One kept connection, with at most one request on its way."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: Any = None
        self._status: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready to ask."""
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """Whoever waits hears of it."""
        if self._status is not None and not self._status.done():
            self._status.set_exception(error or ConnectionResetError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self._status is not None:
            self._status.set_result(self._parser.get_status_code())

    async def ask(self, request: bytes) -> int:
        """Send a request; its status."""
        self._status = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._status


async def drive(port: int, wire: list[str], rate: float, seconds: float) -> dict[str, Any]:
    """Send the requests in turn at `rate` per second; every latency counts from when its turn was."""
    requests = [base64.b64decode(text) for text in wire]
    loop = asyncio.get_running_loop()
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
        idle.put_nowait(connection)
    latencies: list[float] = []
    statuses: dict[str, int] = {}

    async def one(request: bytes, due: float) -> None:
        connection = await idle.get()
        try:
            status = str(await connection.ask(request))
        except OSError as error:
            statuses[repr(error)] = statuses.get(repr(error), 0) + 1
            return
        idle.put_nowait(connection)
        statuses[status] = statuses.get(status, 0) + 1
        latencies.append(loop.time() - due)

    count = int(rate * seconds)
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            due = began + number / rate
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            group.create_task(one(requests[number % len(requests)], due))
    latencies.sort()
    return {
        "statuses": statuses,
        "seconds": loop.time() - began,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[len(latencies) * 99 // 100],
        "worst": latencies[-1],
    }


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(uvloop.run(drive(**orjson.loads(sys.stdin.buffer.read())))))
