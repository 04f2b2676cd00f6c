"""The load on a server: requests over persistent connections, as fast as it responds, from one core.

`serving_process` starts it as a process. It reads jobs from standard input, one JSON object a line, and
answers each with a line when its last response has come: the seconds since the first request.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import httptools
import orjson
import uvloop

CONNECTIONS = 64


class Connection(asyncio.Protocol):
    """Sends the next request as soon as a response is complete."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._parser = httptools.HttpResponseParser(self)
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Parse the data."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Count the response and send the next request; a status other than 200 fails the job."""
        if self._parser.get_status_code() != 200:
            self._job.fail(f"status {self._parser.get_status_code()}")
            return
        self._job.completed()
        self._send()

    def _send(self) -> None:
        request = self._job.take()
        if request is None:
            self._transport.close()
        else:
            self._transport.write(request)


class Job:
    """A number of requests, shared by all connections."""

    def __init__(self, wire: list[bytes], first: int, requests: int) -> None:
        """Send `requests`, in turn from number `first` on."""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wire = wire
        self._next = first
        self._unsent = self._unanswered = requests

    def take(self) -> bytes | None:
        """Return the next request, or None when all have been sent."""
        if not self._unsent:
            return None
        self._unsent -= 1
        self._next += 1
        return self._wire[self._next % len(self._wire)]

    def completed(self) -> None:
        """Count a response; the last one completes the job."""
        self._unanswered -= 1
        if not self._unanswered and not self.done.done():
            self.done.set_result(None)

    def fail(self, reason: str) -> None:
        """End the job with RuntimeError."""
        if not self.done.done():
            self.done.set_exception(RuntimeError(reason))


async def drive(
    port: int,
    paths: list[str],
    requests: int,
    headers: dict[str, str],
    bodies: list[str] | None = None,
    first: int = 0,
) -> float:
    """Send requests to a port of this machine, and return the seconds that they took.

    They are GETs, or a POST for each path that has a body.
    """
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    wire = [f"GET {path} HTTP/1.1\r\nhost: bench\r\n{lines}\r\n".encode() for path in paths]
    if bodies is not None:
        head = f"HTTP/1.1\r\nhost: bench\r\n{lines}content-length:"
        wire = [
            f"POST {path} {head} {len(body)}\r\n\r\n{body}".encode()
            for path, body in zip(paths, bodies, strict=True)
        ]
    job = Job(wire, first, requests)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Connection(job), "127.0.0.1", port)
    await job.done
    return loop.time() - began


def main() -> None:
    """Do the jobs of standard input; RuntimeError for a response that is not a 200."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for line in sys.stdin.buffer:
        seconds = uvloop.run(drive(**orjson.loads(line)))
        sys.stdout.buffer.write(b"%r\n" % seconds)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
