"""While stores fail and processes are killed no unit changes its variant, and each exposure arrives once."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.error import URLError
from urllib.request import Request, urlopen

import orjson

from deploy.local.ports import LOOPBACK
from deploy.local.stack import Stack
from shared.events.topics import EXPOSURES
from tests.load import serving_shop as shop
from tests.load.bench_outages import stopped
from tests.load.serving_process import PREFIX, call
from tests.support.kafka import raw_records, settings_for
from tests.support.processes import Process, process
from tests.support.waiting import PATIENCE, until

NAME = "outages"
EXPERIMENT = {"name": NAME, "surface": "item-affinity", "variants": [{"name": "a"}, {"name": "b"}]}
PHASE_SECONDS = 1.0
THREADS = 3
PAUSE_SECONDS = 0.05
"""Between two visits of a thread: a phase has a hundred requests, and the restarts the processor."""


class Load:
    """Visitors who ask again and again, each time one who is new and one who was there before."""

    def __init__(self) -> None:
        self.variants: defaultdict[str, set[str]] = defaultdict(set)
        """The variants that the answers to a visitor named."""
        self.unanswered: set[str] = set()
        """Visitors of whom a request failed, so that they may have been exposed without an answer."""
        self._port = 0
        self._numbers = itertools.count()
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, args=(n,)) for n in range(THREADS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def phase(self, port: int) -> None:
        """Ask a port for a while, until some visitors were answered."""
        self._port, answered = port, len(self.variants)
        time.sleep(PHASE_SECONDS)
        until(lambda: len(self.variants) - answered, "visitors are answered", enough=lambda new: new >= 5)

    def _ask_on(self, seed: int) -> None:
        rng = random.Random(seed)
        while not self._ends.is_set():
            if self._port:
                number = next(self._numbers)
                for each in (number, rng.randrange(number + 1)):
                    self._ask(f"visitor-{each}")
            self._ends.wait(PAUSE_SECONDS)

    def _ask(self, visitor: str) -> None:
        url = f"http://{LOOPBACK}:{self._port}{PREFIX}/item-affinity/{visitor}"
        try:
            with urlopen(Request(url, headers=shop.HEADERS), timeout=PATIENCE) as answer:
                variant = answer.headers["x-variant"]
                answer.read()
        except (URLError, OSError):
            self.unanswered.add(visitor)
            time.sleep(0.05)
            return
        # A process that has just started may not know the experiment yet, and answers as usual.
        if variant is not None:
            self.variants[visitor].add(variant)


@dataclass(frozen=True)
class Servers:
    """Recommenders and routers over one stack, forked as all services of tests are."""

    environment: dict[str, str]
    folder: Path

    @contextmanager
    def recommender(self) -> Iterator[tuple[int, int]]:
        """Run a recommender; yield its process id and port."""
        with process("recommender", "serve", self.environment, self.folder, ready=False) as started:
            yield started.popen.pid, _port(started)

    @contextmanager
    def router(self, recommender: int) -> Iterator[tuple[int, int]]:
        """Run a router of the recommender at a port; yield its process id and port."""
        address = {"ENDCAP_RECOMMENDER_URL": f"http://{LOOPBACK}:{recommender}"}
        with process("router", "serve", self.environment | address, self.folder, ready=False) as started:
            yield started.popen.pid, _port(started)

    def counting(self) -> AbstractContextManager[Process]:
        """Run the worker of the router."""
        return process("router", "worker", self.environment, self.folder, ready=False)


def _port(started: Process) -> int:
    return int(started.url.rpartition(":")[2])


def exposures(stack: Stack) -> list[dict[str, Any]]:
    """Return the exposures of the experiment that Kafka has."""
    records = asyncio.run(raw_records(settings_for(stack.environment), EXPOSURES.name))
    events = [orjson.loads(record.value or b"{}") for record in records]
    return [event for event in events if event.get("experiment") == NAME]


def knows(port: int) -> bool:
    return NAME in call(port, f"{PREFIX}/status")["experiments"]


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)


def test_no_unit_changes_its_variant_and_each_exposure_arrives_once(stack: Stack, tmp_path: Path) -> None:
    environment = {
        **stack.environment,
        **shop.SETTINGS,
        "RECOMMENDER_STATE_FOLDER": str(tmp_path / "state"),
        "LOG_LEVEL": "ERROR",
    }
    servers = Servers(environment, tmp_path)
    with ExitStack() as processes, Load() as load:
        first, port = processes.enter_context(servers.recommender())
        routing, router_port = processes.enter_context(servers.router(port))
        worker = processes.enter_context(servers.counting())
        call(router_port, "/v1/experiments", EXPERIMENT)
        call(router_port, f"/v1/experiments/{NAME}/start", {})
        until(lambda: knows(port), "the recommender knows the experiment")

        load.phase(router_port)
        for outage in (("redis",), ("postgres",), ("redis", "postgres")):
            with stopped(stack, *outage):
                load.phase(port)
            load.phase(router_port)
        kill(worker.popen.pid)  # another one counts at the end
        kill(routing)
        _, router_port = processes.enter_context(servers.router(port))
        load.phase(router_port)
        with stopped(stack, "kafka"):
            load.phase(port)
            kill(first)
            _, port = processes.enter_context(servers.recommender())
            until(lambda: knows(port), "the next recommender knows the experiment")
            load.phase(port)
        load.phase(port)
        _, router_port = processes.enter_context(servers.router(port))
        load.phase(router_port)

    answered = dict(load.variants)
    with (
        servers.recommender() as (_, port),  # takes over what the last one left
        servers.router(port) as (_, router_port),
        servers.counting(),
    ):
        events = until(
            lambda: exposures(stack),
            "all exposures arrive",
            enough=lambda seen: answered.keys() <= {event["unit"] for event in seen},
            every=0.5,
        )
        variants = {event["unit"]: event["variant"] for event in events}

        def counted() -> int:
            result = call(router_port, f"/v1/experiments/{NAME}")
            return sum(variant["exposed"] for variant in result["variants"])

        until(counted, "all exposures are counted", enough=lambda count: count == len(variants), every=0.5)

    assert {visitor: len(seen) for visitor, seen in answered.items() if len(seen) > 1} == {}
    assert answered == {visitor: {variants[visitor]} for visitor in answered}
    assert variants.keys() - answered.keys() <= load.unanswered
    # What was published twice has one id, so it counts once.
    days = {(event["unit"], event["occurred_at"][:10]) for event in events}
    assert len({event["event_id"] for event in events}) == len(days)
