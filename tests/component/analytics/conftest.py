"""A tenant with answers and events, and the worker that counts and stores them."""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.aws.personalize.recommendation_ids import RecommendationIds, signing_key
from shared.errors import Transient
from shared.events import InteractionRecorded
from shared.events.servings import RecommendationServed, Serving
from shared.events.topics import INTERACTIONS, SERVINGS, Topic
from shared.kafka import encoded
from shared.kafka.connection import client_options
from shared.kafka.offsets import end_offsets
from shared.kafka.producer import Producer
from shared.settings import KafkaSettings
from tests.support.kafka import kafka_environment, remove_members, skip_to_end
from tests.support.processes import Process, process
from tests.support.stack import Database, ObjectStore
from tests.support.tenants import SECRET_KEY, Tenant, make_tenant
from tests.support.waiting import PATIENCE, eventually

GROUPS = ("analytics", "analytics-lake")
ITEMS = [f"i{number}" for number in range(6)]
NOW = datetime.now(UTC).replace(microsecond=0)
MEASURES = "SELECT grain, begins_at, name, value FROM measures WHERE tenant = $1 ORDER BY 1, 2, 3"
FIGURES = (
    "SELECT f.grain, f.begins_at, s.strategy, f.answers, f.clicks, f.impressions, f.conversions, "
    "f.purchases, f.revenue FROM figures f JOIN series s ON s.id = f.series_id "
    "WHERE f.tenant = $1 ORDER BY 1, 2, 3"
)


@dataclass
class Shop:
    """A tenant, what it was answered and did, and the worker."""

    kafka: KafkaSettings
    administrator: asyncpg.Connection
    tenant: Tenant
    environment: dict[str, str]
    folder: Path
    started: ExitStack
    answers: list[Serving] = field(default_factory=list)
    events: list[InteractionRecorded] = field(default_factory=list)

    def start(self) -> Process:
        return self.started.enter_context(
            process("analytics", "worker", self.environment, self.folder, ready=False)
        )

    async def kill(self, worker: Process) -> None:
        """Kill a worker; the next one need not wait until Kafka has noticed."""
        worker.kill()
        await remove_members(self.kafka, *GROUPS)

    async def publish(self, begin: int = 0, every: int = 1) -> None:
        """Publish each so many events and answers, events first: the worker reads the topics in any order."""
        records = [
            RecommendationServed(
                event_id=f"{self.tenant.name}-{number}",
                tenant=self.tenant.name,
                occurred_at=NOW,
                process="p",
                sequence=number + 1,
                servings=(answer,),
            )
            for number, answer in enumerate(self.answers)
        ][begin::every]
        producer = Producer(self.kafka, "test")
        for topic, listed in ((INTERACTIONS, self.events[begin::every]), (SERVINGS, records)):
            await producer.deliver(topic.name, [encoded(each, "test", "") for each in listed], PATIENCE)
        await producer.stop()

    async def is_read(self) -> bool:
        """Return whether both groups have committed the ends of both topics."""
        for topic in (INTERACTIONS, SERVINGS):
            ends = await answered(partial(end_offsets, self.kafka, topic))
            for group in GROUPS:
                committed = await positions(self.kafka, topic, group)
                if any(committed[number] < end for number, end in ends.items()):
                    return False
        return True

    async def figures(self) -> list[tuple[Any, ...]]:
        """Return every figure and measure of the tenant."""
        queries = (FIGURES, MEASURES)
        return [
            tuple(row) for query in queries for row in await self.administrator.fetch(query, self.tenant.name)
        ]


async def answered(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask Kafka until it answers: a broker that has just started has no coordinator yet."""

    async def answer() -> list[Any] | None:
        try:
            return [await ask()]
        except Transient:
            return None

    return (await eventually(answer, every=0.2))[0]


async def positions(kafka: KafkaSettings, topic: Topic, group: str) -> dict[int, int]:
    """The committed offsets of a group; 0 where there is none."""
    consumer = AIOKafkaConsumer(**client_options(kafka, "test"), group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = range(topic.partitions)
        return {
            number: await consumer.committed(TopicPartition(topic.name, number)) or 0 for number in partitions
        }
    finally:
        await consumer.stop()


async def commit(kafka: KafkaSettings, topic: Topic, group: str, offsets: dict[int, int]) -> None:
    """Set the offsets of a group, which has no members."""
    consumer = AIOKafkaConsumer(**client_options(kafka, "test"), group_id=group, enable_auto_commit=False)
    places = {TopicPartition(topic.name, number): offset for number, offset in offsets.items()}
    consumer.assign([*places])
    await consumer.start()
    try:
        await consumer.commit(places)
    finally:
        await consumer.stop()


def customers(tenant: str) -> tuple[list[Serving], list[InteractionRecorded]]:
    """Answers to forty customers, who see, click and buy, each a little later."""
    chance = random.Random(5)
    ids = RecommendationIds(signing_key(""))
    answers, events = [], []
    for number in range(40):
        at = NOW - timedelta(minutes=chance.randrange(60, 2_000))
        items = tuple(chance.sample(ITEMS, 3))
        answer = Serving(
            recommendation_id=ids.new(tenant, "placement/home", number % 12, round(at.timestamp() * 1000)),
            served_at=at,
            surface="placement",
            placement="home",
            user_id=f"u{number}",
            item_ids=items,
            strategies=tuple(chance.choice(["similar", "trending"]) for _ in items),
            source="redis",
        )
        answers.append(answer)
        for minutes, (event_type, item) in enumerate(
            [("impression", items[0]), ("click", items[1]), ("click", items[0]), ("purchase", items[1])], 1
        ):
            events.append(
                InteractionRecorded(
                    event_id=uuid.uuid4().hex,
                    tenant=tenant,
                    occurred_at=at + timedelta(minutes=minutes),
                    received_at=at + timedelta(minutes=minutes),
                    user_id=f"u{number}",
                    event_type=event_type,
                    item_id=item,
                    recommendation_id=None if event_type == "purchase" else answer.recommendation_id,
                    impression=items if event_type == "impression" else None,
                    price=1.1 if event_type == "purchase" else None,
                )
            )
    return answers, events


@pytest.fixture
async def shop(
    module_database: Database, kafka_settings: KafkaSettings, s3: ObjectStore, bucket: str, tmp_path: Path
) -> AsyncIterator[Shop]:
    for topic, group in itertools.product((INTERACTIONS, SERVINGS), GROUPS):
        await answered(partial(skip_to_end, kafka_settings, topic, group))
    tenant = await make_tenant(module_database, f"t-{uuid.uuid4().hex[:8]}")
    administrator = await asyncpg.connect(module_database.url, server_settings={"search_path": "analytics"})
    environment = {
        **module_database.environment,
        **kafka_environment(kafka_settings),
        **s3.environment,
        "ENDCAP_DATA_BUCKET": bucket,
        "ENDCAP_SECRET_KEY": SECRET_KEY,
        "ANALYTICS_LAKE_SECONDS": "0.5",
    }
    with ExitStack() as started:
        made = Shop(kafka_settings, administrator, tenant, environment, tmp_path, started)
        made.answers, made.events = customers(tenant.name)
        yield made
    await administrator.close()


@pytest.fixture
def own_environment(shop: Shop) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in shop.environment.items():
            patch.setenv(name, value)
        yield
