"""The loader's worker is killed at the worst moments: clients get the old lists or the new ones."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import orjson
import pytest
from redis.asyncio import Redis

from services.loader.store.caches import filled_key, list_key, pointer_key
from shared.errors import Transient
from shared.events import CacheRefreshed
from shared.events.topics import BATCHES, CACHES
from shared.kafka import Publisher, StateTable
from shared.settings import KafkaSettings
from tests.component.loader.conftest import Worker
from tests.support.batches import Batch, batch_line
from tests.support.stack import ObjectStore
from tests.support.waiting import PATIENCE, eventually

LISTS = 40_000
ITEMS = [f"item-{number}" for number in range(20)]
RECIPES = {"user-personalization": "user-1", "popularity": "all"}


def a_batch(tenant: str, run: int) -> Batch:
    """Every list begins with the number of its run."""
    items = [f"run-{run}", *ITEMS]
    template = batch_line("user-personalization", "user-", items)
    lines = [template.replace(b'"user-"', b'"user-%d"' % number) for number in range(LISTS)]
    return Batch(
        run, {"user-personalization": lines, "popularity": [batch_line("popularity", "all", items)]}, tenant
    )


async def tell(trainer: Publisher, batch: Batch, bucket: str) -> None:
    async def published() -> bool:
        try:
            await trainer.publish(BATCHES, [batch.completed(bucket)], within=PATIENCE)
        except Transient:
            return False
        return True

    await eventually(published)


class Witness:
    """Reads as the recommender does, all the time, and remembers every answer that was a mixture."""

    def __init__(self, redis: Redis, administrator: asyncpg.Connection, tenant: str) -> None:
        self.redis = redis
        self.administrator = administrator
        self.tenant = tenant
        self.mixtures: list[set[str]] = []
        self.reads = 0
        self.one_at_a_time = asyncio.Lock()

    async def watch(self) -> None:
        while True:
            for answer in (await self.from_redis(), await self.from_postgres()):
                self.reads += 1
                if len(answer) > 1 or "missing" in answer:
                    self.mixtures.append(answer)
            await asyncio.sleep(0.005)

    async def from_redis(self) -> set[str]:
        pointer = await self.redis.get(pointer_key(self.tenant))
        if pointer is None:
            return set()
        generations = orjson.loads(pointer)["generations"]
        keys = [
            list_key(self.tenant, generations[recipe], recipe, identifier)
            for recipe, identifier in RECIPES.items()
        ]
        return {orjson.loads(value)[0][0] if value else "missing" for value in await self.redis.mget(keys)}

    async def from_postgres(self) -> set[str]:
        async with self.one_at_a_time:
            rows = await self._first_of_each()
        return {row["first"] or "missing" for row in rows}

    async def _first_of_each(self) -> list[asyncpg.Record]:
        return await self.administrator.fetch(
            "SELECT a.recipe, (SELECT l.items -> 0 ->> 0 FROM lists_v1 l WHERE l.tenant = a.tenant "
            "AND l.generation = a.generation AND l.recipe = a.recipe AND l.id = ANY($2)) AS first "
            "FROM active_v1 a WHERE a.tenant = $1",
            self.tenant,
            [*RECIPES.values()],
        )


@dataclass(frozen=True)
class Load:
    """A tenant whose second batch is being loaded, and what a worker that is killed must leave to readers."""

    tenant: str
    worker: Worker
    administrator: asyncpg.Connection
    redis: Redis
    witness: Witness

    async def serving(self, run: int) -> bool:
        """Return whether Redis names the generation of this run for every recipe."""
        pointer = await self.redis.get(pointer_key(self.tenant))
        return pointer is not None and set(orjson.loads(pointer)["generations"].values()) == {run}

    async def start_another(self) -> None:
        """Start another worker, and let the dead one's lease be over at once rather than in 15 s."""
        await self.administrator.execute("UPDATE jobs SET lease_until = now() WHERE status = 'running'")
        self.worker.start()

    async def kill_among_the_rows(self, share: float) -> None:
        """Kill the worker when it has copied this share of the lists into Postgres."""

        async def copied() -> bool:
            query = "SELECT sum(tuples_processed) FROM pg_stat_progress_copy"
            return (await self.administrator.fetchval(query) or 0) >= share * LISTS

        await eventually(copied)
        self.worker.kill()

    async def kill_before_the_pointers(self) -> None:
        """Kill the worker after Redis is filled, while the pointers wait for a lock that the test holds."""

        async def filled() -> bool:
            return await self.redis.exists(filled_key(self.tenant, 2)) == 1

        async with self.administrator.transaction():
            await self.administrator.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('loader.activate:' || $1, 0))", self.tenant
            )
            await eventually(filled)
            self.worker.kill()

    async def kill_between_the_pointers(self) -> None:
        """Kill the worker after Postgres has the pointers, while Redis takes no writes."""

        async def activated() -> bool:
            return await self.witness.from_postgres() == {"run-2"}

        await self.redis.config_set("min-replicas-to-write", 1)
        try:
            await self.start_another()
            await eventually(activated)
            self.worker.kill()
            assert await self.witness.from_redis() == {"run-1"}
        finally:
            await self.redis.config_set("min-replicas-to-write", 0)

    async def assert_first_is_served(self) -> None:
        """Check that both stores answer with the first run."""
        assert await self.witness.from_postgres() == await self.witness.from_redis() == {"run-1"}


@pytest.fixture
async def load(worker: Worker, administrator: asyncpg.Connection, redis_url: str) -> AsyncIterator[Load]:
    tenant = f"shop-{uuid.uuid4().hex[:8]}"
    redis = Redis.from_url(redis_url)
    own = await asyncpg.connect(worker.environment["DATABASE_URL"], server_settings={"search_path": "loader"})
    yield Load(tenant, worker, administrator, redis, Witness(redis, own, tenant))
    await own.close()
    await redis.aclose()


async def test_a_worker_killed_anywhere_leaves_no_mixture(
    load: Load, trainer: Publisher, s3: ObjectStore, bucket: str, kafka_settings: KafkaSettings
) -> None:
    first, second = a_batch(load.tenant, 1), a_batch(load.tenant, 2)
    for batch in (first, second):
        await asyncio.to_thread(batch.put, s3.client(), bucket)
    load.worker.start()
    await tell(trainer, first, bucket)
    await eventually(lambda: load.serving(1))
    watching = asyncio.create_task(load.witness.watch())

    await tell(trainer, second, bucket)
    for share in (0.25, 0.5, 0.75):
        await load.kill_among_the_rows(share)
        await load.assert_first_is_served()
        await load.start_another()
    await load.kill_before_the_pointers()
    await load.assert_first_is_served()
    await load.kill_between_the_pointers()
    await load.start_another()
    await eventually(lambda: load.serving(2))
    watching.cancel()

    assert load.witness.mixtures == []
    assert load.witness.reads > 100
    await _until_announced(kafka_settings, load.tenant, activation=2)
    leftovers = "SELECT count(*) FROM pg_class WHERE relname ~ '^lists_2_' AND relkind = 'r'"

    async def tidy() -> bool:
        return await load.administrator.fetchval(leftovers) == 0

    await eventually(tidy)


async def _until_announced(kafka: KafkaSettings, tenant: str, *, activation: int) -> None:
    topic: StateTable[CacheRefreshed] = StateTable(kafka, CACHES)
    await topic.start()

    def announced() -> bool:
        return tenant in topic.states and topic.states[tenant].activation == activation

    await eventually(announced)
    await topic.stop()


async def test_a_run_announced_twice_and_one_announced_late(
    worker: Worker,
    trainer: Publisher,
    administrator: asyncpg.Connection,
    s3: ObjectStore,
    bucket: str,
) -> None:
    tenant = f"shop-{uuid.uuid4().hex[:8]}"
    for run in (5, 6):
        items = [f"run-{run}", *ITEMS]
        batch = Batch.of(run, {"popularity": [("all", items)]}, tenant=tenant)
        await asyncio.to_thread(batch.put, s3.client(), bucket)
    worker.start()

    for run in (6, 6, 5, 6):
        await tell(trainer, Batch(run, {"popularity": []}, tenant), bucket)

    async def loaded() -> bool:
        rows = await administrator.fetch("SELECT status FROM generations WHERE tenant = $1", tenant)
        return [row["status"] for row in rows] == ["loaded", "loaded"]

    await eventually(loaded)

    async def idle() -> bool:
        return await administrator.fetchval("SELECT count(*) FROM jobs WHERE status <> 'done'") == 0

    await eventually(idle)
    activations = await administrator.fetch("SELECT activation, generation FROM activations")
    assert [(row["activation"], row["generation"]) for row in activations] == [(1, 6)]
    assert await administrator.fetchval("SELECT count(*) FROM jobs") == 2
