"""CPU per response: recommender and router beside a raw ASGI response over Redis in the same run.

Every server is a process of its own on one core; the load comes from another process on another core, over
64 persistent connections. The figure is the CPU time of the server's process per request.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import orjson

from deploy.local.ports import LOOPBACK
from shared.models import Histories, Ids, Model, Neighbours, Scoring, ScoringComponent, SeenItems
from tests.load import serving_shop as shop
from tests.load.figures import Figure, cpu_seconds
from tests.load.recording import recorded
from tests.load.serving_process import (
    PREFIX,
    call,
    is_filled,
    send_all,
    server,
    serving_stack,
    wait_until,
)

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
    with serving_stack() as stack:
        return measure(stack.environment, FULL)


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
    with server("tests.load.raw_asgi", environment) as (pid, port):
        raw = _micros(pid, port, [f"/{shop.TENANT}{user}" for user in users], size.requests, size.rounds)
    yield Figure("raw ASGI answer over one Redis connection", raw, "µs CPU")
    with server("services.recommender", environment) as (pid, port):
        wait_until(lambda: is_filled(port, size.items))
        for limit, budget in ((10, "≤ 60 µs from cache, ≤ 120 µs decorated"), (25, "")):
            limited = [f"{path}?limit={limit}" for path in paths]
            micros = _micros(pid, port, limited, size.requests, size.rounds)
            name = f"recommender: a cached list, filtered, {limit} items decorated"
            yield Figure(name, micros, "µs CPU", f"{micros / raw:.1f} × raw ASGI", budget)
        yield from _placements(pid, port, users, size, raw)
        bodies = [orjson.dumps({"query": GRAPHQL, "variables": {"userId": user}}).decode() for user in users]
        micros = _micros(pid, port, ["/graphql"] * len(users), size.requests, size.rounds, bodies)
        reference = f"{micros / raw:.1f} × raw ASGI"
        yield Figure(
            "GraphQL, getRecommendations of 10 items", micros, "µs CPU", reference, "≤ 11 ×, aim 5 ×"
        )
        routed = {**environment, "ENDCAP_RECOMMENDER_URL": f"http://{LOOPBACK}:{port}"}
        yield from _routed(routed, paths, size)


def _placements(pid: int, port: int, users: list[str], size: Size, raw: float) -> Iterator[Figure]:
    for name, label in (("home", "the default home"), (shop.PLACEMENT, "one with a filter and rules")):
        paths = [f"/api/v1/placements/{name}?user_id={user}" for user in users]
        micros = _micros(pid, port, paths, size.requests, size.rounds)
        reference = f"{micros / raw:.1f} × raw ASGI"
        yield Figure(f"placement: {label}, 10 items", micros, "µs CPU", reference, "≤ 3.5 × raw ASGI")


def _routed(environment: Mapping[str, str], paths: list[str], size: Size) -> Iterator[Figure]:
    with server("services.router", environment) as (pid, port):
        passed = _micros(pid, port, paths, size.routed_requests, size.rounds)
        yield Figure("router: passed through", passed, "µs CPU")
        call(port, "/v1/experiments", EXPERIMENT)
        call(port, "/v1/experiments/bench/start", {})
        # Expose every user once: an exposure is published once a day.
        send_all(port, paths, 2 * len(paths))
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


def _micros(
    pid: int, port: int, paths: list[str], requests: int, rounds: int, bodies: list[str] | None = None
) -> float:
    """Return the µs of CPU per request, the lowest of several rounds: other processes use the machine too."""
    send_all(port, paths, requests // 5, bodies)
    micros = []
    for _ in range(rounds):
        before = cpu_seconds(pid)
        send_all(port, paths, requests, bodies)
        micros.append((cpu_seconds(pid) - before) / requests * 1e6)
    return min(micros)
