"""The worker on real Kafka and Postgres: killed with open transactions, and fed its topics a second time."""

from __future__ import annotations

import asyncio
import itertools
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from asgi_lifespan import LifespanManager
from httpx import ASGITransport, AsyncClient

from services.analytics import app
from services.analytics.domain.lake_tables import BY_NAME
from services.analytics.settings import Settings
from services.analytics.store import Lake
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
from tests.integration.analytics.reference import expected
from tests.support.kafka import kafka_environment, skip_to_end
from tests.support.processes import Process, process
from tests.support.proxy import Proxy
from tests.support.stack import Database, ObjectStore
from tests.support.tenants import SECRET_KEY, Tenant, make_tenant
from tests.support.waiting import PATIENCE, eventually

GROUPS = ("analytics", "analytics-lake")
KILLS = 5
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


async def test_killed_workers_and_a_replay_change_no_figure(shop: Shop, own_environment: None) -> None:
    topics = (INTERACTIONS, SERVINGS)
    begin = {}
    for topic in topics:
        # A partition without records has no end.
        ends = await answered(partial(end_offsets, shop.kafka, topic))
        begin[topic] = dict.fromkeys(range(topic.partitions), 0) | ends
    worker = shop.start()

    async def waits() -> bool:
        """Return whether a transaction of the worker waits for the lock that the test holds."""
        return bool(
            await shop.administrator.fetchval(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            )
        )

    async with shop.administrator.transaction():
        lock = "SELECT pg_advisory_xact_lock(hashtext('analytics'), hashtext($1))"
        await shop.administrator.execute(lock, shop.tenant.name)
        await shop.publish()
        await eventually(waits, "the worker is in its transaction")
        worker.kill()
    second = shop.start()
    await eventually(shop.is_read, "everything is read", every=0.3)
    figures = await shop.figures()
    hours, _ = expected(shop.answers, shop.events, timedelta(days=7))
    sums = {
        name: sum(row[name] for row in hours.values())
        for name in ("answers", "clicks", "conversions", "revenue")
    }
    of_hours = [row for row in figures if row[0] == "hour" and len(row) > 4]
    assert [sum(Decimal(row[place]) for row in of_hours) for place in (3, 4, 6, 8)] == [*sums.values()]
    assert sums["conversions"] == 80  # forty, in the series of the answer and that of the item

    second.popen.terminate()
    await asyncio.to_thread(second.popen.wait, PATIENCE)
    for topic, group in itertools.product(begin, GROUPS):
        await commit(shop.kafka, topic, group, begin[topic])
    shop.start()
    await eventually(shop.is_read, "everything is read twice", every=0.3)

    assert await shop.figures() == figures
    of_tenant = ["--tenant", shop.tenant.name]
    assert await asyncio.to_thread(app.check, Settings(), of_tenant) == 0
    assert await asyncio.to_thread(app.lake, Settings(), ["check", *of_tenant]) == 0
    lake = Lake(Settings().s3)
    stored = [len(lake.ids(shop.tenant.name, BY_NAME[name])) for name in ("interactions", "servings")]
    assert stored == [len(shop.events), len(shop.answers)]
    await answers_over_http(shop)


async def test_the_lake_equals_the_log_after_kills_and_without_an_object_store(
    shop: Shop, own_environment: None, s3: ObjectStore
) -> None:
    """Each of five workers is killed in its commit, soon after the object store answers again."""
    chance = random.Random(7)

    async def writes() -> bool:
        """Return whether a worker has begun to write to the lake."""
        return bool(
            await shop.administrator.fetchval(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock'"
            )
        )

    async def is_free() -> bool:
        return not await writes()

    async with Proxy(s3.endpoint) as proxy:
        shop.environment["AWS_ENDPOINT_URL_S3"] = proxy.url(s3.endpoint)
        for number in range(KILLS):
            proxy.hang()
            await shop.publish(number, KILLS)
            worker = shop.start()
            await eventually(writes, "a worker writes to the lake", every=0.1)
            proxy.resume()
            await asyncio.sleep(chance.uniform(0, 0.3))
            worker.kill()
            await eventually(is_free, "Postgres knows that the worker has ended", every=0.1)
        proxy.cut_answers(2)  # the last worker doesn't know what became of its first requests
        shop.start()
        await eventually(shop.is_read, "everything is read", every=0.3)

    of_tenant = ["--tenant", shop.tenant.name]
    assert await asyncio.to_thread(app.lake, Settings(), ["check", *of_tenant]) == 0
    lake = Lake(Settings().s3)
    stored = [sorted(lake.ids(shop.tenant.name, BY_NAME[name])) for name in ("interactions", "servings")]
    assert stored == [
        sorted(event.event_id for event in shop.events),
        sorted(answer.recommendation_id for answer in shop.answers),
    ]


async def answers_over_http(shop: Shop) -> None:
    """The routes answer for the key's tenant, with the scope read."""
    serving = app.build(Settings())
    async with (
        LifespanManager(serving, startup_timeout=PATIENCE, shutdown_timeout=PATIENCE),
        AsyncClient(transport=ASGITransport(serving), base_url="http://analytics") as http,
    ):
        reader = {"x-api-key": shop.tenant.read}
        placements = "/v1/metrics/placements?by=placement,strategy&interval=day"
        page = (await http.get(placements, headers=reader)).json()
        overview = (await http.get("/v1/metrics/overview?interval=day", headers=reader)).json()
        refused = [
            (await http.get(placements, headers={"x-api-key": shop.tenant.ingest})).status_code,
            (await http.get(f"{placements}&from=2020-01-01T00:00Z", headers=reader)).status_code,
            (await http.get("/v1/metrics/placements?by=colour", headers=reader)).status_code,
            (await http.get("/v1/metrics/overview?from=yesterday", headers=reader)).status_code,
        ]
        other = await http.get("/v1/metrics/overview", headers={"x-api-key": "unknown"})

    assert (page["total"]["answers"], page["total"]["conversions"]) == (40, 40)
    assert page["total"]["conversion"]["value"] == 0.5
    assert {group["strategy"] for group in page["groups"]} == {"similar", "trending"}
    assert sum(point["clicks"] for group in page["groups"] for point in group["points"]) == 80
    total = overview["total"]
    assert (total["orders"], total["answers"], round(total["attributed_revenue"], 9)) == (40, 40, 44.0)
    assert total["attributed_share"] == 1
    assert overview["answers_by_source"] == {"redis": 40}
    assert overview["events_by_type"] == {"click": 80, "impression": 40, "purchase": 40}
    assert sum(day["answered_visitors"] for day in overview["coverage"]) == 40
    assert overview["freshness"]["newest_answer_at"] is not None
    assert refused == [403, 400, 400, 400]
    assert other.status_code == 401
