"""CPU per response: recommender and router beside a raw ASGI response over Redis in the same run.

Every server is a process of its own on one core; the load comes from another process on another core, over
64 persistent connections. A figure is the CPU time per request of all processes that the request passes, and
of Redis. All ways are measured in turn, in many short rounds, and a ratio is the median of the ratios within
a round, because other work on the machine changes the CPU time of everything.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import orjson

from deploy.local.ports import LOOPBACK
from tests.load import serving_shop as shop
from tests.load.bench_overload import visit
from tests.load.figures import Figure
from tests.load.recording import answers_recorded, recorded
from tests.load.serving_live import live_scoring
from tests.load.serving_memory import memory
from tests.load.serving_process import (
    PREFIX,
    LoadGenerator,
    call,
    is_filled,
    redis_process,
    server,
    serving_stack,
    wait_until,
)
from tests.load.serving_ways import Budget, Difference, Reference, Way, compare

GRAPHQL = """query Q($userId: String!) { getRecommendations(userId: $userId, limit: 10) {
  items { userId itemId score category timestamp __typename } nextToken __typename } }"""
CACHED = "a cached list, filtered, 10 items decorated"
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
    requests: int
    rounds: int
    seconds: float
    """The longest time of a comparison; two rounds are always measured."""
    scorings: int
    events: int
    recorded_answers: int
    memory_items: int
    memory_users: int
    live_items: tuple[int, ...]


FULL = Size(
    users=20_000,
    items=5_000,
    requests=1_500,
    rounds=15,
    seconds=70.0,
    scorings=200,
    events=20_000,
    recorded_answers=8_000,
    memory_items=200_000,
    memory_users=20_000,
    live_items=(5_000, 100_000),
)


def run() -> Iterator[Figure]:
    """Measure over components of its own."""
    with serving_stack() as stack:
        yield from measure(stack.environment, FULL)


def measure(environment: Mapping[str, str], size: Size) -> Iterator[Figure]:
    """Measure responses by the way that requests take, live scoring, recording and memory."""
    environment = {**environment, **shop.SETTINGS}
    shop.fill(environment, size.users, size.items)
    with ExitStack() as processes:
        bench = _Bench(environment, size, processes)
        yield from bench.responses()
        yield from bench.with_experiment()
        yield from bench.latencies()
        yield answers_recorded(environment, size.recorded_answers, bench.reference)
        yield recorded(environment["REDIS_URL"], size.events, size.users, bench.reference)
        yield from live_scoring(size.live_items, size.scorings, bench.reference)
    yield from memory(environment["REDIS_URL"], size.memory_items, size.memory_users)


class _Bench:
    """The servers, and what is requested of them."""

    def __init__(self, environment: Mapping[str, str], size: Size, processes: ExitStack) -> None:
        self._environment = environment
        self._size = size
        redis = redis_process(environment["REDIS_URL"])
        self._generator = processes.enter_context(LoadGenerator())
        raw, raw_port = processes.enter_context(server("tests.load.raw_asgi", environment))
        served, self._port = processes.enter_context(server("services.recommender", environment))
        unrecorded, port = processes.enter_context(server("tests.load.unrecorded", environment))
        wait_until(lambda: is_filled(self._port, size.items) and is_filled(port, size.items))
        address = {"ENDCAP_RECOMMENDER_URL": f"http://{LOOPBACK}:{self._port}"}
        router = server("services.router", {**environment, **address})
        routing, self._router_port = processes.enter_context(router)
        self._processes = processes
        self._users = random.sample([f"u{user}" for user in range(size.users)], size.users // 2)
        self._direct = Way("", self._port, (served, redis), ())
        self._unrecorded = Way("", port, (unrecorded, redis), ())
        self._routed = Way("", self._router_port, (routing, served, redis), ())
        paths = [f"/{shop.TENANT}{user}" for user in self._users]
        self.reference = Reference(self._generator, Way("", raw_port, (raw, redis), paths), size.requests)

    def responses(self) -> Iterator[Figure]:
        """Measure responses without an experiment."""
        size, paths = self._size, self._lists(self._users)
        query = [
            orjson.dumps({"query": GRAPHQL, "variables": {"userId": user}}).decode() for user in self._users
        ]
        active = [f"u{user}" for user in shop.users_with_history(size.users)]
        cached, recorded = f"recommender: {CACHED}", f"recommender: {CACHED}, recorded"
        ways = (
            replace(self._unrecorded, name=cached, paths=paths, budget=Budget(1.6, 1.3)),
            self._way(recorded, paths),
            self._way("recommender: the same, 25 items", [f"{path}?limit=25" for path in paths]),
            self._way("placement: the default home, 10 items", self._placements("home", self._users)),
            self._way(
                "placement: one with a filter and rules, 10 items",
                self._placements(shop.PLACEMENT, self._users),
                Budget(3.5),
            ),
            self._way("recommender: the list of a user with 100 events", self._lists(active)),
            self._way("placement: home for a user with 100 events", self._placements("home", active)),
            replace(
                self._way(
                    "GraphQL: getRecommendations of 10 items", ["/graphql"] * len(query), Budget(11, 5)
                ),
                bodies=query,
            ),
            replace(self._routed, name="router: the list of 10, passed through", paths=paths),
        )
        record = Difference("recommender: the record of an answer, on top", recorded, cached, Budget(0.2))
        yield from compare(self.reference, ways, size.rounds, size.seconds, [record])

    def with_experiment(self) -> Iterator[Figure]:
        """Measure responses of a surface with an experiment."""
        paths, half = self._lists(self._users), len(self._users) // 2
        exposed, unexposed = paths[:half], paths[half:]
        with server("services.router", self._environment, "worker"):  # it publishes the start
            call(self._router_port, "/v1/experiments", EXPERIMENT)
            call(self._router_port, "/v1/experiments/bench/start", {})
            wait_until(lambda: "bench" in call(self._port, f"{PREFIX}/status")["experiments"])
        # Expose every user once: an exposure is published once a day.
        self._generator.send(self._port, exposed, len(exposed))
        usual, name = "the list of 10 without experiment", "the list of 10 with experiment and exposure"
        unassigned, port = self._processes.enter_context(server("tests.load.unassigned", self._environment))
        wait_until(lambda: is_filled(port, self._size.items))
        redis = redis_process(self._environment["REDIS_URL"])
        ways = (
            Way(f"recommender: {usual}", port, (unassigned, redis), exposed),
            self._way(f"recommender: {name}", exposed),
            replace(self._routed, name=f"router: {name}", paths=exposed, budget=Budget(3, 2)),
        )
        decision = Difference(
            "recommender: a decision with exposure, on top",
            f"recommender: {name}",
            f"recommender: {usual}",
            Budget(0.4),
        )
        yield from compare(self.reference, ways, self._size.rounds, self._size.seconds / 2, [decision])
        first = self.reference.micros(replace(self._direct, paths=unexposed), len(unexposed))
        later = self.reference.micros(replace(self._direct, paths=unexposed), len(unexposed))
        yield Figure("recommender: the first exposure of a unit and day, on top", first - later, "µs CPU")

    def latencies(self) -> Iterator[Figure]:
        """Measure answers a second, and the p99 at half of them."""
        size, count = self._size, self._size.requests * 4
        lists = self._lists(self._users)
        for name, port, paths in (
            ("recommender, a list", self._port, lists),
            ("recommender, a placement with rules", self._port, self._placements("bench", self._users)),
            ("router, a list with experiment", self._router_port, lists),
        ):
            rate = max(count / self._generator.send(port, paths, count) for _ in range(3))
            detail = "64 clients; one process per service"
            yield Figure(f"{name}: answers that clients get", rate, "a second", detail)
            result = visit(port, paths, rate / 2, size.seconds / 10, 200, 0.5)
            outcome = f"p50 {result['p50'] * 1e3:.1f} ms at {rate / 2:,.0f} a second"
            yield Figure(f"{name}: p99 at half of that", result["p99"] * 1e3, "ms", outcome)

    def _way(self, name: str, paths: Sequence[str], budget: Budget | None = None) -> Way:
        return replace(self._direct, name=name, paths=paths, budget=budget)

    @staticmethod
    def _lists(users: Sequence[str]) -> list[str]:
        return [f"{PREFIX}/recommendations/{user}" for user in users]

    @staticmethod
    def _placements(name: str, users: Sequence[str]) -> list[str]:
        return [f"/api/v1/placements/{name}?user_id={user}" for user in users]
