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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
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
from tests.support.stack import Components
from tests.support.waiting import PATIENCE

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
    ports = {f"{service}_PORT": str(port) for service in ("RECOMMENDER", "ROUTER", "TRACKER")}
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


def wait_until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
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
    url = f"http://{LOOPBACK}:{port}{path}"
    with urlopen(Request(url, data, headers), timeout=PATIENCE) as answer:
        return dict(json.load(answer))


class LoadGenerator:
    """A process on its own core that sends requests over 64 connections as fast as the server responds."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.load.serving_load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=end_with_parent(),  # noqa: PLW1509 - one thread here
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=10)

    def send(
        self, port: int, paths: list[str], requests: int, bodies: list[str] | None = None, first: int = 0
    ) -> float:
        """Send requests from number `first` of the paths on; return the seconds that they took.

        Raise RuntimeError if a response is not a 200.
        """
        job = {
            "port": port,
            "paths": paths,
            "requests": requests,
            "headers": shop.HEADERS,
            "bodies": bodies,
            "first": first,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(orjson.dumps(job) + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            message = f"a response of {paths[0]} was not a 200"
            raise RuntimeError(message)
        return float(answer)


def redis_process(url: str) -> int:
    """Return the process id of a Redis server of this machine."""
    with redis.Redis.from_url(url) as store:
        return int(store.info("server")["process_id"])
