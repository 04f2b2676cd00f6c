"""Every worker that is told to end while its dependency is just back leaves everything to the next one.

The workers are the real ones with their real handlers. `pytest -s` prints what became of each topic's events.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import httpx
import orjson
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI

from deploy.local.ports import SERVICES
from services.router.domain.experiments import Definition
from services.router.settings import Settings
from services.router.store.change_log import Author
from services.router.store.experiments import Experiments
from shared.errors import Transient
from shared.events.topics import (
    ERASURE_RECEIPTS,
    TOPICS,
    UPLOADS,
)
from shared.experiments import Variant
from shared.kafka import committed, committed_up_to_end, encoded
from shared.kafka.producer import Producer
from shared.postgres import Database as Pool
from shared.settings import KafkaSettings, PostgresSettings
from tests.component.workers.events import World
from tests.component.workers.subscriptions import CASES, EVENTS, Case
from tests.support.kafka import kafka_environment, raw_records, running, skip_to_end
from tests.support.outage import stopped
from tests.support.stack import Components, Database, ObjectStore
from tests.support.tenants import SECRET_KEY, SERVICE_KEY, make_tenant
from tests.support.waiting import PATIENCE, eventually

# The engine's subscription has no case here, and the dashboard has no worker.
SERVICES_WITH_CONSUMERS = [service for service in SERVICES if service not in {"engine", "dashboard"}]
FIRST, COUNT = 10, 30
"""So many are in the first poll or polls; the others wait behind them."""
BACK_OFF_CALLS = 5
"""The pause after so many calls is longer than a second."""


@pytest.fixture
def environment(
    database: Database,
    kafka_settings: KafkaSettings,
    redis_url: str,
    s3: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    bucket: str,
) -> Iterator[None]:
    """The variables of every worker."""
    variables = {
        **database.environment,
        **s3.environment,
        **kafka_environment(kafka_settings),
        "REDIS_URL": redis_url,
        "ENDCAP_SECRET_KEY": SECRET_KEY,
        "ENDCAP_SERVICE_KEY": SERVICE_KEY,
        "TRAINER_SCHEDULE": "",
        "ENDCAP_DATA_BUCKET": bucket,
        "ANALYTICS_LAKE_SECONDS": "0.2",
    }
    with monkeypatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
async def world(
    environment: None, database: Database, kafka_settings: KafkaSettings, redis_url: str
) -> World:
    """A tenant with an experiment that takes everybody, and groups that have read what others published."""
    del environment
    tenant = await make_tenant(database, f"t-{uuid.uuid4().hex[:8]}")
    for topic, group in {(case.topic, case.group) for case in CASES} | {(UPLOADS, "sync")}:
        await _asked(partial(skip_to_end, kafka_settings, topic, group))
    async with running(pool := Pool(PostgresSettings(database_url=database.role_url("router")), "router")):
        experiments = Experiments(pool, Settings())
        variants = (Variant(name="red"), Variant(name="blue"))
        definition = Definition(name="colours", surface="recommendations", variants=variants)
        author = Author("test")
        await experiments.define(tenant.name, definition, author)
        await experiments.change(tenant.name, "colours", "start", author)
    return World(kafka_settings, database, redis_url, tenant.name)


async def _asked(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask Kafka until it answers: a broker that has just started has no coordinator yet."""

    async def answer() -> list[Any] | None:
        try:
            return [await ask()]
        except Transient:
            return None

    return (await eventually(answer, every=0.2))[0]


@asynccontextmanager
async def workers() -> AsyncIterator[list[FastAPI]]:
    """Run the worker of every service, and stop them together, as SIGTERM does."""
    apps = [
        import_module(f"services.{service}.app").worker(
            import_module(f"services.{service}.settings").Settings()
        )
        for service in SERVICES_WITH_CONSUMERS
    ]
    started, stopping = asyncio.Semaphore(0), asyncio.Event()

    async def run(app: Any) -> None:
        async with LifespanManager(app, startup_timeout=PATIENCE, shutdown_timeout=PATIENCE):
            started.release()
            await stopping.wait()

    async with asyncio.TaskGroup() as group:
        for app in apps:
            group.create_task(run(app))
        for _ in apps:
            await started.acquire()
        try:
            yield apps
        finally:
            stopping.set()


async def publish(world: World, numbers: Sequence[int]) -> None:
    producer = Producer(world.kafka, "test")
    for topic, make in EVENTS.items():
        records = [encoded(make(world, n), "test", "") for n in numbers]
        await producer.deliver(topic.name, records, PATIENCE)
    await producer.stop()


@dataclass(frozen=True)
class Ended:
    """How far a group had come when its worker had ended."""

    acknowledged: set[str]
    committed: set[str]
    stored: set[str]

    @classmethod
    async def of(cls, world: World, case: Case) -> Ended:
        """Read the topic, the group's offsets and what is stored."""
        done: dict[int, int] = await _asked(lambda: committed(world.kafka, case.group, case.topic))
        every, passed = set(), set()
        for record in await raw_records(world.kafka, case.topic.name):
            event = orjson.loads(record.value or b"{}")
            if event.get("tenant") == world.tenant:
                name = str(event[case.name])
                every.add(name)
                if record.offset < done.get(record.partition, 0):
                    passed.add(name)
        return cls(every, passed, await case.stored(world))


def test_every_subscription_is_here() -> None:
    registered = {(service, topic.name) for topic in TOPICS for service in topic.consumers}

    assert {(case.service, case.topic.name) for case in CASES} == registered - {
        ("sync", UPLOADS.name),
        ("engine", ERASURE_RECEIPTS.name),
    }


async def test_a_worker_that_ends_in_its_back_off_leaves_everything_to_the_next(
    components: Components, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.kafka.activity.UNREADY_SECONDS", 0.1)
    waiting = [case for case in CASES if case.waits]
    before = {case: case.retries() for case in CASES}

    async with workers() as apps, stopped(components, "postgres", "redis"):
        await publish(world, range(FIRST))
        await eventually(lambda: all(case.retries() - before[case] >= BACK_OFF_CALLS for case in waiting))
        await publish(world, range(FIRST, COUNT))
        said = await _not_ready(apps)
        await asyncio.sleep(1)  # until their clients have fetched them
    assert [
        case.label
        for case in waiting
        if f"reading {case.topic.name} as {case.group} has been waiting for" not in said
    ] == [], "readiness names each"
    ended = {case: await Ended.of(world, case) for case in CASES}
    assert [case.label for case in waiting if ended[case].committed - ended[case].stored] == []

    async with workers():
        later = {case: await _everything(world, case) for case in CASES}
    _show(ended, later)
    assert [case.label for case in CASES if ended[case].acknowledged - later[case]] == []
    assert {len(ended[case].acknowledged) for case in CASES} >= {COUNT}


async def _not_ready(apps: Sequence[FastAPI]) -> str:
    """What the processes say of their readiness."""
    said = []
    for app in apps:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://worker") as http:
            answer = await http.get("/readyz")
            said.append(f"{answer.status_code} {answer.text}")
    assert all(sentence.startswith("503") for sentence in said), said
    return " ".join(said)


async def _everything(world: World, case: Case) -> set[str]:
    """What is stored once the group has come to the end, whose last events may be on their way."""
    await eventually(lambda: committed_up_to_end(world.kafka, case.group, case.topic), every=0.2)
    if not case.waits:
        await eventually(lambda: case.stored(world), enough=lambda names: len(names) >= COUNT, every=0.2)
    return await case.stored(world)


def _show(ended: dict[Case, Ended], later: dict[Case, set[str]]) -> None:
    sys.stdout.write(f"\n{'topic':<24}{'group':<20}acknowledged  committed  stored  stored later  lost\n")
    for case, end in ended.items():
        sys.stdout.write(
            f"{case.topic.name:<24}{case.group:<20}{len(end.acknowledged):>12}{len(end.committed):>11}"
            f"{len(end.stored):>8}{len(later[case]):>14}{len(end.acknowledged - later[case]):>6}\n"
        )
