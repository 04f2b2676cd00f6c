"""CPU per response: recommender and router beside a raw ASGI response over Redis in the same run.

Every server is a process of its own on one core; the load comes from another process on another core, over
64 persistent connections. A figure is the CPU time per request of all processes that the request passes, and
of Redis.
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
from tests.load.figures import Figure
from tests.load.recording import recorded
from tests.load.serving_process import (
    PREFIX,
    Load,
    call,
    is_filled,
    redis_process,
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
    rounds: int
    scorings: int
    events: int


FULL = Size(
    users=20_000,
    items=5_000,
    queried_users=2_000,
    requests=30_000,
    rounds=3,
    scorings=200,
    events=40_000,
)


def run() -> list[Figure]:
    """Measure over components of its own."""
    with serving_stack() as stack:
        return measure(stack.environment, FULL)


def measure(environment: Mapping[str, str], size: Size) -> list[Figure]:
    """Measure responses by the way that requests take, live scoring, and recording."""
    environment = {**environment, **shop.SETTINGS}
    shop.fill(environment, size.users, size.items)
    return [*_responses(environment, size), _live_scoring(size)]


def _responses(environment: Mapping[str, str], size: Size) -> Iterator[Figure]:
    redis = redis_process(environment["REDIS_URL"])
    users = random.sample([f"u{user}" for user in range(size.users)], 2 * size.queried_users)
    queried, unexposed = users[: size.queried_users], users[size.queried_users :]
    with server("tests.load.raw_asgi", environment) as (pid, port):
        load = Load(port, (pid, redis), size.requests, size.rounds)
        raw = load.micros([f"/{shop.TENANT}{user}" for user in queried])
    yield Figure("raw ASGI answer over one Redis connection", raw, "µs CPU", "with Redis")
    yield recorded(environment["REDIS_URL"], size.events, size.users, raw)
    with server("services.recommender", environment) as (pid, port):
        wait_until(lambda: is_filled(port, size.items))
        direct = Load(port, (pid, redis), size.requests, size.rounds)
        yield from _direct(direct, queried, raw)
        address = {"ENDCAP_RECOMMENDER_URL": f"http://{LOOPBACK}:{port}"}
        with server("services.router", {**environment, **address}) as (router, router_port):
            routed = Load(router_port, (router, pid, redis), size.requests, size.rounds)
            yield from _with_experiment(environment, direct, routed, (queried, unexposed), raw)


def _direct(direct: Load, users: list[str], raw: float) -> Iterator[Figure]:
    paths = [f"{PREFIX}/recommendations/{user}" for user in users]
    name = "recommender: a cached list, filtered, 10 items decorated"
    yield _figure(name, direct.micros(paths), raw, "≤ 1.6 ×, aim 1.3 ×")
    longer = direct.micros([f"{path}?limit=25" for path in paths])
    yield _figure("recommender: the same, 25 items", longer, raw)
    for placement, kind in (("home", "the default home"), (shop.PLACEMENT, "one with a filter and rules")):
        answered = direct.micros([f"/api/v1/placements/{placement}?user_id={user}" for user in users])
        yield _figure(f"placement: {kind}, 10 items", answered, raw, "≤ 3.5 × raw ASGI")
    bodies = [orjson.dumps({"query": GRAPHQL, "variables": {"userId": user}}).decode() for user in users]
    graphql = direct.micros(["/graphql"] * len(users), bodies)
    yield _figure("GraphQL, getRecommendations of 10 items", graphql, raw, "≤ 11 ×, aim 5 ×")


def _with_experiment(
    environment: Mapping[str, str],
    direct: Load,
    routed: Load,
    users: tuple[list[str], list[str]],
    raw: float,
) -> Iterator[Figure]:
    paths, unexposed = ([f"{PREFIX}/recommendations/{user}" for user in part] for part in users)
    yield _figure("router: the list of 10, passed through", routed.micros(paths), raw)
    with server("services.router", environment, "worker"):  # it publishes the start
        call(routed.port, "/v1/experiments", EXPERIMENT)
        call(routed.port, "/v1/experiments/bench/start", {})
        wait_until(lambda: "bench" in call(direct.port, f"{PREFIX}/status")["experiments"])
    # Expose every user once: an exposure is published once a day.
    send_all(direct.port, paths, 2 * len(paths))
    decided = direct.micros(paths)
    yield _figure("recommender: the list of 10 with experiment and exposure", decided, raw)
    decided = routed.micros(paths)
    yield _figure("router: the list of 10 with experiment and exposure", decided, raw, "≤ 3 ×, aim 2 ×")
    first = direct.measured(unexposed, len(unexposed)) - direct.measured(unexposed, len(unexposed))
    yield Figure("recommender: the first exposure of a unit and day, on top", first, "µs CPU")


def _figure(name: str, micros: float, raw: float, budget: str = "") -> Figure:
    return Figure(name, micros, "µs CPU", f"{micros / raw:.2f} × raw ASGI", budget)


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
