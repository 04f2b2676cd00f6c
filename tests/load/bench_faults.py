"""Events under faults of the whole product: what was acknowledged is stored once.

Each row is one fault of docs/faults.md under a steady load through the gateway. Its value is the number of
events that were acknowledged and are not stored exactly once, of dead letters, and of answers that clients of
vendors do not repeat. `python -m tests.load faults` takes about eight minutes.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
import httpx

from tests.load import faults
from tests.load.figures import Figure
from tests.load.product import product
from tests.support.product import Endcap
from tests.support.waiting import PATIENCE

SENDERS = 4
EVENTS_PER_POST = 20
PAUSE_SECONDS = 0.05
"""Pause of a sender after each answer, so that load and faults share two cores; arbitrary."""

RETRYABLE = frozenset({429, 502, 503, 504})
"""Statuses after which clients of vendors send again, as after a connection that is cut."""


FAULTS: Final[Mapping[str, Callable[[Endcap, faults.Size], str]]] = {
    "nothing": faults.nothing,
    "clocks of services two hours apart (F15)": faults.clocks_apart,
    "a slow store (F16)": faults.slow_store,
    "workers come and go (F17)": faults.workers_come_and_go,
    "rolling restart of all services (F22)": faults.rolling_restart,
    "Postgres without connections (F8)": faults.no_connections,
    "Kafka stopped for a minute": faults.without_kafka,
}
FULL = faults.Size(seconds=20.0, rounds=12, every_seconds=5.0)


@dataclass
class Load:
    """Events sent by several threads until it is stopped, and the outcome of each request."""

    endcap: Endcap
    mark: str = field(default_factory=lambda: uuid.uuid4().hex[:10])
    acknowledged: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)

    def send_until_stopped(self, sender: int) -> None:
        """Send batches of new events, and read recommendations."""
        url = self.endcap.environment["ENDCAP_URL"]
        with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as http:
            for number in itertools.count():
                if self._stop.wait(PAUSE_SECONDS):
                    return
                ids = [f"{self.mark}-{sender}-{number}-{n}" for n in range(EVENTS_PER_POST)]
                user = f"u-{self.mark}-{number % 50}"
                events = [
                    {"event_id": each, "user_id": user, "event_type": "view", "item_id": f"i-{n}"}
                    for n, each in enumerate(ids)
                ]
                if self._answer(http, "POST", "/v1/events", "ingest", json=events) == 200:
                    self.acknowledged.update(ids)
                self._answer(http, "GET", f"/api/v1/personalize/recommendations/{user}", "read")

    def _answer(self, http: httpx.Client, method: str, path: str, key: str, **options: Any) -> int:
        """Return the status, 0 for a connection that is cut."""
        try:
            headers = {"x-api-key": self.endcap.keys[key]}
            status = http.request(method, path, headers=headers, **options).status_code
        except httpx.TransportError:
            status = 0
        self.answers[f"{method} {status or 'cut'}"] += 1
        return status

    def stop(self) -> None:
        """End the senders after their request."""
        self._stop.set()

    def failures(self) -> int:
        """Return how many answers a client of a vendor would not repeat."""
        statuses = {answer: answer.partition(" ")[2] for answer in self.answers}
        fine = {"200", "cut", *map(str, RETRYABLE)}
        return sum(count for answer, count in self.answers.items() if statuses[answer] not in fine)


def run() -> Iterator[Figure]:
    """Measure in a product of its own."""
    with product() as endcap:
        yield from measure(endcap, FULL)


def measure(endcap: Endcap, size: faults.Size, names: Sequence[str] = tuple(FAULTS)) -> Iterator[Figure]:
    """Yield one figure per fault."""
    for name in names:
        with _under_load(endcap) as load:
            note = FAULTS[name](endcap, size)
        yield _figure(name, note, endcap, load)


@contextmanager
def _under_load(endcap: Endcap) -> Iterator[Load]:
    load = Load(endcap)
    threads = [threading.Thread(target=load.send_until_stopped, args=(each,)) for each in range(SENDERS)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stop()
        for thread in threads:
            thread.join()


def _figure(name: str, note: str, endcap: Endcap, load: Load) -> Figure:
    endcap.wait_healthy()
    began = time.monotonic()
    stored = asyncio.run(_stored(endcap, load))
    wrong = len(load.acknowledged - stored.keys()) + sum(count != 1 for count in stored.values())
    dead = len(_get(endcap, "engine", "/v1/dead-letters")["dead_letters"])
    answers = ", ".join(f"{count:,} × {answer}" for answer, count in sorted(load.answers.items()))
    reference = (
        f"{len(load.acknowledged):,} acknowledged, {len(stored):,} stored, {dead} dead letters; {answers}; "
        f"{load.failures()} not to be repeated; all stored {time.monotonic() - began:.1f} s later"
    )
    return Figure(
        f"{name}: lost or doubled",
        wrong + dead + load.failures(),
        "events",
        f"{note}; {reference}".removeprefix("; "),
        "0",
        0.0,
    )


async def _stored(endcap: Endcap, load: Load) -> dict[str, int]:
    """Return how often each event is in the log, once all that were acknowledged are or a minute is over."""
    connection = await asyncpg.connect(endcap.stack.environment["DATABASE_URL"])
    statement = "SELECT event_id, count(*) AS n FROM tracker.interactions WHERE event_id LIKE $1 GROUP BY 1"
    try:
        until = time.monotonic() + PATIENCE
        while True:
            rows = await connection.fetch(statement, f"{load.mark}-%")
            stored = {row["event_id"]: row["n"] for row in rows}
            if load.acknowledged <= stored.keys() or time.monotonic() > until:
                return stored
            await asyncio.sleep(0.5)
    finally:
        await connection.close()


def _get(endcap: Endcap, service: str, path: str) -> Any:
    headers = {"x-api-key": endcap.keys["admin"]}
    url = f"{endcap.urls[service]}{path}"
    answer = httpx.get(url, headers=headers, timeout=PATIENCE, trust_env=False)
    answer.raise_for_status()
    return answer.json()
