"""The loader's parts on a real Postgres, Redis and object store, without Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import pytest_asyncio
from asgi_lifespan import LifespanManager
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.loader import app
from services.loader.domain import Limits
from services.loader.settings import Settings
from services.loader.store import (
    Activations,
    Caches,
    Erasures,
    Files,
    GenerationCleanup,
    Generations,
    Quality,
)
from services.loader.store.caches import list_key, pointer_key
from services.loader.worker import LoadJob, QualityMeasurement, RedisFollower
from shared.jobs import Job
from shared.postgres import Database
from shared.settings import AuthSettings, PostgresSettings, RedisSettings
from tests.support.batches import Batch
from tests.support.stack import Database as OwnDatabase
from tests.support.stack import ObjectStore
from tests.support.tenants import SECRET_KEY, SERVICE_KEY, Tenant, make_tenant

LIMITS = Limits(least_share_of_last=0.5, most_unknown_items=0.2, most_rejected_lines=0.01)


@dataclass
class Loader:
    """Everything that the worker process has, called by hand."""

    database: Database
    administrator: Database
    redis: Redis
    s3: Any
    bucket: str
    generations: Generations = field(init=False)
    activations: Activations = field(init=False)
    caches: Caches = field(init=False)
    erasures: Erasures = field(init=False)
    load_job: LoadJob = field(init=False)
    follower: RedisFollower = field(init=False)
    cleanup: GenerationCleanup = field(init=False)
    measurement: QualityMeasurement = field(init=False)

    def __post_init__(self) -> None:
        self.generations = Generations(self.database)
        self.activations = Activations(self.database)
        self.caches = Caches(self.redis, self.database)
        self.erasures = Erasures(self.redis, self.database)
        self.load_job = LoadJob(
            self.database,
            self.generations,
            self.activations,
            self.caches,
            self.erasures,
            Files(self.s3),
            LIMITS,
        )
        self.follower = RedisFollower(self.activations, self.caches)
        self.cleanup = GenerationCleanup(self.database, self.caches, keep=2)
        self.measurement = QualityMeasurement(Quality(self.database), coverage_seconds=3600)

    async def receive(self, batch: Batch) -> None:
        await self.generations.receive(batch.put(self.s3, self.bucket))

    async def work(self) -> None:
        """Do every job that waits, as a worker would; an error ends the test."""
        while (job := await self.claim()) is not None:
            await self.load_job.run(job)
            await self.finish(job)

    async def claim(self) -> Job | None:
        row = await self.administrator.fetchrow(
            "UPDATE jobs SET status = 'running', attempts = attempts + 1, owner = 'test', "
            "lease_until = now() + interval '1 minute' WHERE id = "
            "(SELECT id FROM jobs WHERE status <> 'done' ORDER BY id LIMIT 1) "
            "RETURNING id, kind, key, payload, attempts, progress"
        )
        if row is None:
            return None
        return Job(
            row["id"],
            row["kind"],
            row["key"],
            row["payload"],
            row["attempts"],
            row["progress"],
            "test",
            self.database,
        )

    async def finish(self, job: Job) -> None:
        await self.administrator.execute(
            "UPDATE jobs SET status = 'done', lease_until = NULL WHERE id = $1", job.id
        )

    async def load(self, batch: Batch) -> None:
        await self.receive(batch)
        await self.work()

    async def state(self, generation: int) -> tuple[str, str | None]:
        row = await self.database.fetchrow(
            "SELECT status, reason FROM generations WHERE generation = $1", generation
        )
        assert row is not None
        return row["status"], row["reason"]

    async def active(self, tenant: str = "default") -> dict[str, int]:
        rows = await self.database.fetch("SELECT * FROM active_v1 WHERE tenant = $1", tenant)
        return {row["recipe"]: row["generation"] for row in rows}

    async def pointer(self, tenant: str = "default") -> dict[str, Any] | None:
        value = await self.redis.get(pointer_key(tenant))
        return orjson.loads(value) if value else None

    async def cached(self, generation: int, recipe: str, identifier: str) -> Any:
        value = await self.redis.get(list_key("default", generation, recipe, identifier))
        return orjson.loads(value) if value else None

    async def announced(self) -> list[tuple[int, dict[str, int]]]:
        """The CacheRefreshed events so far, in their order."""
        rows = await self.database.fetch("SELECT payload FROM outbox ORDER BY seq")
        return [(row["payload"]["activation"], row["payload"]["generations"]) for row in rows]

    async def partitions(self) -> list[str]:
        rows = await self.administrator.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'loader'::regnamespace "
            "AND relkind = 'r' AND relname LIKE 'lists\\_%' ORDER BY relname"
        )
        return [row["relname"] for row in rows]


def away_redis() -> Redis:
    """Return a client of a Redis that nobody runs, which tries once."""
    return Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0))


@pytest_asyncio.fixture
async def loader(
    database: OwnDatabase, redis_url: str, s3: ObjectStore, bucket: str
) -> AsyncIterator[Loader]:
    own = Database(PostgresSettings(database_url=database.role_url("loader")), "loader")
    administrator = Database(PostgresSettings(database_url=database.url), "loader")
    await own.start()
    await administrator.start()
    client = Redis.from_url(redis_url)
    yield Loader(own, administrator, client, s3.client(), bucket)
    await client.aclose()
    await administrator.stop()
    await own.stop()


@pytest_asyncio.fixture
async def tenant(database: OwnDatabase) -> Tenant:
    return await make_tenant(database)


@pytest_asyncio.fixture
async def http(database: OwnDatabase, redis_url: str) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        postgres=PostgresSettings(database_url=database.role_url("loader")),
        redis=RedisSettings(redis_url=redis_url),
        auth=AuthSettings(endcap_secret_key=SECRET_KEY, endcap_service_key=SERVICE_KEY),
    )
    service = app.build(settings)
    async with (
        LifespanManager(service),
        httpx.AsyncClient(transport=httpx.ASGITransport(service), base_url="http://loader") as client,
    ):
        yield client
