"""Servers of the serving benchmarks: components, a recommender or router on its own core, and its load."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import orjson
import redis

from deploy.local import product
from deploy.local.components import postgres
from deploy.local.parent import end_with_parent
from deploy.local.ports import LOOPBACK
from deploy.local.stack import Stack
from shared.http.runtime import PORT_OFFSETS
from tests.load import serving_shop as shop
from tests.load.figures import cpu_seconds
from tests.support.stack import Components

PREFIX = "/api/v1/personalize"


@contextmanager
def serving_stack() -> Iterator[Stack]:
    """Yield a stack of components with a migrated database."""
    with tempfile.TemporaryDirectory(prefix="endcap-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        components = Components.below(Path(folder))
        try:
            stack = components.start("kafka", "postgres", "redis")
            stack.create_topics()
            environment = stack.environment
            postgres.create_database(stack.postgres_admin, "endcap")
            product.create_roles(environment, stack.preparation_log)
            product.migrate(environment, stack.preparation_log)
            yield stack
        finally:
            components.stop()


@contextmanager
def server(
    module: str, environment: Mapping[str, str], process_name: str = "serve"
) -> Iterator[tuple[int, int]]:
    """Run a server on its own core; yield (process id, port)."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        port = int(probe.getsockname()[1])
    ports = {f"{service}_PORT": str(port) for service in ("RECOMMENDER", "ROUTER")}
    core, end_with_bench = min(os.sched_getaffinity(0)), end_with_parent()
    process = subprocess.Popen(
        [sys.executable, "-m", module, process_name],
        env={**os.environ, **environment, **ports, "LOG_LEVEL": "ERROR"},
        preexec_fn=lambda: _pin_to_core(end_with_bench, core),  # noqa: PLW1509 - one thread here
    )
    try:
        wait_until(lambda: _listens(port + PORT_OFFSETS[process_name]))
        yield process.pid, port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _pin_to_core(end_with_bench: Callable[[], None], core: int) -> None:
    end_with_bench()
    os.sched_setaffinity(0, {core})


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for a condition; raises TimeoutError."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            message = "a server was not ready in time"
            raise TimeoutError(message)
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def is_filled(port: int, items: int) -> bool:
    """Return whether a recommender knows the items and the active generation, and has Redis."""
    status = call(port, f"{PREFIX}/status")
    return bool(status["items"] >= items and status["activation"] and status["redis"])


def call(port: int, path: str, body: object = None) -> dict[str, Any]:
    """Return the JSON of a GET, or of a POST with a body; raises URLError."""
    data = None if body is None else orjson.dumps(body)
    headers = {**shop.HEADERS, "content-type": "application/json"}
    with urlopen(Request(f"http://{LOOPBACK}:{port}{path}", data, headers), timeout=10) as answer:
        return dict(json.load(answer))


def send_all(port: int, paths: list[str], requests: int, bodies: list[str] | None = None) -> None:
    """Send requests over 64 connections as fast as the server responds, from another process."""
    job = orjson.dumps(
        {"port": port, "paths": paths, "requests": requests, "headers": shop.HEADERS, "bodies": bodies}
    )
    subprocess.run([sys.executable, "-m", "tests.load.serving_load"], input=job, check=True)


@dataclass(frozen=True)
class Load:
    """A load on a port, and the processes whose CPU time counts."""

    port: int
    processes: Sequence[int]
    requests: int
    rounds: int

    def micros(self, paths: list[str], bodies: list[str] | None = None) -> float:
        """Return the µs of CPU per request, the lowest of several rounds: others use the machine too."""
        send_all(self.port, paths, self.requests // 5, bodies)
        return min(self.measured(paths, self.requests, bodies) for _ in range(self.rounds))

    def measured(self, paths: list[str], requests: int, bodies: list[str] | None = None) -> float:
        """Return the µs of CPU per request of one round."""
        before = sum(map(cpu_seconds, self.processes))
        send_all(self.port, paths, requests, bodies)
        return (sum(map(cpu_seconds, self.processes)) - before) / requests * 1e6


def redis_process(url: str) -> int:
    """Return the process id of a Redis server of this machine."""
    with redis.Redis.from_url(url) as store:
        return int(store.info("server")["process_id"])
