"""CPU per response: recommender and router beside a raw ASGI response over Redis in the same run.

Every server is a process of its own on one core; the load comes from another process on another core, over
64 persistent connections. The figure is the CPU time of the server's process per request.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import orjson

from deploy.local import product
from deploy.local.components import postgres
from deploy.local.parent import end_with_parent
from deploy.local.ports import LOOPBACK
from shared.models import Histories, Ids, Model, Neighbours, Scoring, ScoringComponent, SeenItems
from tests.load import serving_shop as shop
from tests.load.figures import Figure, cpu_seconds
from tests.load.recording import recorded
from tests.support.stack import Components

PREFIX = "/api/v1/personalize"
GRAPHQL = """query Q($userId: String!) { getRecommendations(userId: $userId, limit: 10) {
  items { userId itemId score category timestamp __typename } nextToken __typename } }"""
EXPERIMENT = {
    "name": "bench",
    "surface": "recommendations",
    "variants": [{"name": "a"}, {"name": "b"}],
}


@dataclass(frozen=True)
class Size:
    """The shop, and the number of repetitions of each measurement."""

    users: int
    items: int
    queried_users: int
    requests: int
    routed_requests: int
    rounds: int
    scorings: int
    events: int


FULL = Size(
    users=20_000,
    items=5_000,
    queried_users=2_000,
    requests=30_000,
    routed_requests=8_000,
    rounds=3,
    scorings=200,
    events=40_000,
)


def run() -> list[Figure]:
    """Measure over components of its own."""
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
            return measure(environment, FULL)
        finally:
            components.stop()


def measure(environment: Mapping[str, str], size: Size) -> list[Figure]:
    """Measure responses from lists, live scoring, and the router's decision."""
    environment = {**environment, **shop.SETTINGS}
    shop.fill(environment, size.users, size.items)
    return [
        *_responses(environment, size),
        _live_scoring(size),
        recorded(environment["REDIS_URL"], size.events, size.users),
    ]


def _responses(environment: Mapping[str, str], size: Size) -> Iterator[Figure]:
    users = [f"u{random.randrange(size.users)}" for _ in range(size.queried_users)]
    paths = [f"{PREFIX}/recommendations/{user}" for user in users]
    with _server("tests.load.raw_asgi", environment) as (pid, port):
        raw = _micros(pid, port, [f"/{shop.TENANT}{user}" for user in users], size.requests, size.rounds)
    yield Figure("raw ASGI answer over one Redis connection", raw, "µs CPU")
    with _server("services.recommender", environment) as (pid, port):
        _wait_until(lambda: _is_filled(port, size.items))
        for limit, budget in ((10, "≤ 60 µs from cache, ≤ 120 µs decorated"), (25, "")):
            limited = [f"{path}?limit={limit}" for path in paths]
            micros = _micros(pid, port, limited, size.requests, size.rounds)
            name = f"recommender: a cached list, filtered, {limit} items decorated"
            yield Figure(name, micros, "µs CPU", f"{micros / raw:.1f} × raw ASGI", budget)
        bodies = [orjson.dumps({"query": GRAPHQL, "variables": {"userId": user}}).decode() for user in users]
        micros = _micros(pid, port, ["/graphql"] * len(users), size.requests, size.rounds, bodies)
        reference = f"{micros / raw:.1f} × raw ASGI"
        yield Figure(
            "GraphQL, getRecommendations of 10 items", micros, "µs CPU", reference, "≤ 11 ×, aim 5 ×"
        )
        routed = {**environment, "ENDCAP_RECOMMENDER_URL": f"http://{LOOPBACK}:{port}"}
        yield from _routed(routed, paths, size)


def _routed(environment: Mapping[str, str], paths: list[str], size: Size) -> Iterator[Figure]:
    with _server("services.router", environment) as (pid, port):
        passed = _micros(pid, port, paths, size.routed_requests, size.rounds)
        yield Figure("router: passed through", passed, "µs CPU")
        _call(port, "/v1/experiments", EXPERIMENT)
        _call(port, "/v1/experiments/bench/start", {})
        # Expose every user once: an exposure is published once a day.
        _load(port, paths, 2 * len(paths))
        decided = _micros(pid, port, paths, size.routed_requests, size.rounds) - passed
        reference = f"beside {passed:.0f} µs of the proxied call"
        yield Figure("router: a decision on top", decided, "µs CPU", reference, "≤ 30 µs")


def _live_scoring(size: Size) -> Figure:
    """Measure scoring a user with 50 recent events by two components with 200 neighbours per item."""
    rng, items, width = np.random.default_rng(1), size.items, 200
    parts = tuple(
        ScoringComponent(
            name,
            Neighbours(
                np.arange(items + 1, dtype=np.int64) * width,
                rng.integers(0, items, items * width, dtype=np.int32),
                rng.random(items * width, dtype=np.float32),
            ),
            0.5,
            0.95,
            "event",
        )
        for name in ("one", "two")
    )
    no_rows = np.zeros(1, np.int64)
    model = Model(
        recipe="bench",
        scoring=Scoring(kind="user", scored=True, scale="softmax", event_types=("view", "")),
        items=Ids.of([f"product-{n}" for n in range(items)]),
        users=Ids.of([]),
        popularity=np.ones(items, np.float32),
        histories=Histories(no_rows, np.zeros(0, np.int32), np.zeros(0, np.int16), np.zeros(0, np.int64)),
        older=SeenItems(no_rows, np.zeros(0, np.int32)),
        components=parts,
    )
    history = [(f"product-{n * 7 % items}", "view", 1_700_000_000 + n) for n in range(50)]
    lowest = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(size.scorings):
            model.recommend(user_id="somebody", history=history, limit=25)
        lowest = min(lowest, (time.process_time() - began) / size.scorings * 1e6)
    return Figure(f"live scoring, 50 recent events, {items:,} items", lowest, "µs CPU", "", "≤ 400 µs")


@contextmanager
def _server(module: str, environment: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """Run a server on its own core; yield (process id, port)."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        port = int(probe.getsockname()[1])
    ports = {f"{service}_PORT": str(port) for service in ("RECOMMENDER", "ROUTER")}
    core, end_with_bench = min(os.sched_getaffinity(0)), end_with_parent()
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        env={**os.environ, **environment, **ports, "LOG_LEVEL": "ERROR"},
        preexec_fn=lambda: _pin_to_core(end_with_bench, core),  # noqa: PLW1509 - one thread here
    )
    try:
        _wait_until(lambda: _listens(port))
        yield process.pid, port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _pin_to_core(end_with_bench: Callable[[], None], core: int) -> None:
    end_with_bench()
    os.sched_setaffinity(0, {core})


def _wait_until(condition: Any, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            message = "a server was not ready in time"
            raise TimeoutError(message)
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _is_filled(port: int, items: int) -> bool:
    status = _call(port, f"{PREFIX}/status")
    return bool(status["items"] >= items and status["activation"] and status["redis"])


def _call(port: int, path: str, body: object = None) -> dict[str, Any]:
    data = None if body is None else orjson.dumps(body)
    headers = {**shop.HEADERS, "content-type": "application/json"}
    with urlopen(Request(f"http://{LOOPBACK}:{port}{path}", data, headers), timeout=10) as answer:
        return dict(json.load(answer))


def _micros(
    pid: int, port: int, paths: list[str], requests: int, rounds: int, bodies: list[str] | None = None
) -> float:
    """Return the µs of CPU per request, the lowest of several rounds: other processes use the machine too."""
    _load(port, paths, requests // 5, bodies)
    micros = []
    for _ in range(rounds):
        before = cpu_seconds(pid)
        _load(port, paths, requests, bodies)
        micros.append((cpu_seconds(pid) - before) / requests * 1e6)
    return min(micros)


def _load(port: int, paths: list[str], requests: int, bodies: list[str] | None = None) -> None:
    job = orjson.dumps(
        {"port": port, "paths": paths, "requests": requests, "headers": shop.HEADERS, "bodies": bodies}
    )
    subprocess.run([sys.executable, "-m", "tests.load.serving_load"], input=job, check=True)
