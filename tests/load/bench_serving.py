"""CPU of an answer: recommender and router, each beside a raw ASGI answer over Redis in the same run.

Every server is a process of its own on one core; the load comes from another process on another core, over
64 kept connections. What is reported is the CPU time of the server process per request.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httptools
import orjson
import redis
import uvloop

from deploy.local.ports import LOOPBACK
from shared.events.topics import CACHES, ITEMS
from tests.load import serving_shop as shop
from tests.support.stack import Components

CONNECTIONS = 64
REQUESTS = 30_000
WARM_UP = 5_000
ROUNDS = 3
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]


def run() -> list[dict[str, Any]]:
    """Measure; each row has name, value, unit and reference."""
    with tempfile.TemporaryDirectory(prefix="endcap-bench-") as folder:
        Path(folder).chmod(0o711)
        components = Components.below(Path(folder))
        try:
            environment = dict(components.start("kafka", "postgres", "redis").environment)
            components.stack.create_topics()
            shop.fill(environment)
            return [*_serving(environment), *_scoring()]
        finally:
            components.stop()


def _serving(environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    paths = [f"/api/v1/personalize/recommendations/u{random.randrange(shop.USERS)}" for _ in range(2_000)]
    raw = [f"/{shop.TENANT}{path.rpartition('/')[2]}" for path in paths]
    with _server("tests.load.raw_asgi", environment) as (pid, port):
        reference = _cpu(pid, port, raw)
    yield _row("raw ASGI over one Redis connection", reference, reference)
    with _server("services.recommender", environment) as (pid, port):
        _wait_until_decorated(port)
        for name, chosen in (
            ("a cached list, decorated and filtered", paths),
            ("the same with a limit of 25", [f"{path}?limit=25" for path in paths]),
        ):
            yield _row(f"recommender: {name}", _cpu(pid, port, chosen), reference)


def _scoring() -> Iterator[dict[str, Any]]:
    yield from ()


def _row(name: str, value: float, reference: float) -> dict[str, Any]:
    return {"name": name, "value": round(value, 1), "unit": "µs CPU", "reference": round(reference, 1)}


@contextmanager
def _server(module: str, environment: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """A server process on its core: (process id, port)."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        env={**os.environ, **environment, **shop.SETTINGS, "RECOMMENDER_PORT": str(port), "LOG_LEVEL": "ERROR"},
        preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),  # noqa: PLW1509 - one thread here
    )
    try:
        _wait_for(port)
        yield process.pid, port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def _wait_for(port: int) -> None:
    for _ in range(400):
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the server did not start")


def _wait_until_decorated(port: int) -> None:
    for _ in range(400):
        answer = _get(port, "/api/v1/personalize/status")
        if answer["items"] >= shop.ITEMS and answer["activation"] and answer["redis"]:
            return
        time.sleep(0.05)
    raise RuntimeError("the recommender did not read its topics")


def _get(port: int, path: str) -> dict[str, Any]:
    from urllib.request import Request, urlopen  # noqa: PLC0415

    with urlopen(Request(f"http://{LOOPBACK}:{port}{path}", headers=shop.HEADERS), timeout=5) as answer:
        return dict(json.load(answer))


def _cpu(pid: int, port: int, paths: list[str]) -> float:
    """µs of CPU that the server takes for a request: the best of some rounds, since others use the machine."""
    _load(port, paths, WARM_UP)
    found = []
    for _ in range(ROUNDS):
        before = _cpu_seconds(pid)
        _load(port, paths, REQUESTS)
        found.append((_cpu_seconds(pid) - before) / REQUESTS * 1e6)
    return min(found)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _load(port: int, paths: list[str], requests: int) -> None:
    job = orjson.dumps({"port": port, "paths": paths, "requests": requests, "headers": shop.HEADERS})
    subprocess.run([sys.executable, "-m", "tests.load.bench_serving"], input=job, check=True)


class _Client(asyncio.Protocol):
    """One connection: the next request as soon as the answer is whole."""

    def __init__(self, wire: list[bytes], left: list[int], done: asyncio.Future[None]) -> None:
        self.wire, self.left, self.done = wire, left, done
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.ask()

    def ask(self) -> None:
        if self.left[0] <= 0:
            self.transport.close()
            if self.left[1] == self.left[2] and not self.done.done():
                self.done.set_result(None)
            return
        self.left[0] -= 1
        self.transport.write(self.wire[self.left[0] % len(self.wire)])

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self.parser.get_status_code() != 200:
            raise RuntimeError(f"status {self.parser.get_status_code()}")
        self.left[1] += 1
        self.ask()


async def _drive(job: dict[str, Any]) -> None:
    headers = "".join(f"{name}: {value}\r\n" for name, value in job["headers"].items())
    wire = [f"GET {path} HTTP/1.1\r\nhost: bench\r\n{headers}\r\n".encode() for path in job["paths"]]
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    left = [job["requests"], 0, job["requests"]]
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: _Client(wire, left, done), LOOPBACK, job["port"])
    await done


if __name__ == "__main__":
    os.sched_setaffinity(0, {LOAD_CORE})
    uvloop.run(_drive(orjson.loads(sys.stdin.buffer.read())))
