"""The components and the tenant of a recommender; tests fill their tables, keys and topics."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import orjson
import uvicorn
from asgi_lifespan import LifespanManager
from pydantic import SecretStr

from services.recommender import app
from services.recommender.settings import Settings
from shared.auth import encrypt, hash_key, new_secret_key
from shared.events import CacheRefreshed, Event, InteractionRecorded, ItemChanged
from shared.events.topics import CAMPAIGNS, Topic
from shared.http import BoundedProtocol, Connections
from shared.kafka import Record, encoded
from shared.kafka.producer import Producer
from shared.redis import client
from shared.settings import AuthSettings, KafkaSettings, PostgresSettings, RedisSettings, S3Settings
from tests.support.waiting import PATIENCE, eventually

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from starlette.types import ASGIApp

    from tests.support.stack import Database, ObjectStore

UNREACHABLE = "127.0.0.1:1"
"""Nobody listens there."""
KEYS = {"read": "ek_read_test", "ingest": "ek_ingest_test", "service": "ek_service_test"}
PRODUCT_LIMITS = {
    name: Settings.model_fields[name].default for name in ("redis_milliseconds", "postgres_milliseconds")
}
"""Time limits of a request for Redis and Postgres."""
AWS = ("ENDCTESTTESTTESTTEST", "a secret access key of forty characters!")


@dataclass
class World:
    """The components and the tenant of a recommender."""

    database: Database
    redis_url: str
    kafka: KafkaSettings
    models: Path
    store: ObjectStore | None = None
    tenant: str = field(default_factory=lambda: f"shop-{uuid.uuid4().hex[:8]}")
    account: str = field(default_factory=lambda: f"{random.randrange(10**12):012}")
    secret_key: str = field(default_factory=new_secret_key)
    campaigns: set[bytes] = field(default_factory=set)
    """Keys of the campaigns that were published."""

    @property
    def redis(self) -> Redis:
        return client(RedisSettings(redis_url=self.redis_url))

    def settings(self, **changes: Any) -> Settings:
        """Return settings for these components; `kafka`, `redis` and `postgres` override their addresses.

        Requests wait longer for Redis and Postgres than in the product, since a busy machine is late;
        `PRODUCT_LIMITS` has the limits of the product.
        """
        kafka, redis = changes.pop("kafka", self.kafka), changes.pop("redis", self.redis_url)
        postgres = changes.pop("postgres", self.database.role_url("recommender"))
        patient: dict[str, Any] = {"redis_milliseconds": 1_000, "postgres_milliseconds": 10_000}
        return Settings(
            kafka=kafka,
            redis=RedisSettings(redis_url=redis),
            postgres=PostgresSettings(database_url=postgres),
            s3=S3Settings(
                aws_endpoint_url_s3=self.store.endpoint if self.store else None,
                aws_access_key_id=self.store.access_key_id if self.store else None,
                aws_secret_access_key=SecretStr(self.store.secret_access_key) if self.store else None,
            ),
            auth=AuthSettings(
                endcap_service_key=SecretStr(KEYS["service"]),
                endcap_secret_key=SecretStr(self.secret_key),
            ),
            models_folder=self.models,
            state_folder=changes.pop("state_folder", self.models.with_name("state")),
            **(patient | changes),
        )

    @asynccontextmanager
    async def serving(self, **changes: Any) -> AsyncIterator[ASGIApp]:
        """Run the serving process; yield its application."""
        serving = app.build(self.settings(**changes))
        async with LifespanManager(serving, startup_timeout=PATIENCE, shutdown_timeout=PATIENCE):
            yield serving

    def caller(self, serving: ASGIApp) -> httpx.AsyncClient:
        """Return a client of a serving process, with the service key and this tenant."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(serving),
            base_url="http://recommender",
            headers={"x-api-key": KEYS["service"], "x-endcap-tenant": self.tenant},
        )

    @asynccontextmanager
    async def recommender(self, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        """Yield a client of a serving process of its own."""
        async with self.serving(**changes) as serving, self.caller(serving) as caller:
            yield caller

    @asynccontextmanager
    async def listening(self, **changes: Any) -> AsyncIterator[str]:
        """Yield the URL of the serving process, for clients that need a port."""
        settings = self.settings(**changes)
        serving, connections = app.build(settings), Connections(settings.http)
        connections.websocket = serving.websocket
        protocol: Any = partial(BoundedProtocol, connections)
        options: dict[str, Any] = {"ws": "none", "log_config": None, "lifespan": "on", "proxy_headers": False}
        config = uvicorn.Config(serving, "127.0.0.1", 0, http=protocol, **options)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())

        async def started() -> bool:
            return server.started

        await eventually(started)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            await task

    @asynccontextmanager
    async def worker(self, **changes: Any) -> AsyncIterator[None]:
        """Run the worker process."""
        async with LifespanManager(
            app.worker(self.settings(**changes)), startup_timeout=PATIENCE, shutdown_timeout=PATIENCE
        ):
            yield

    async def sql(self, command: str, *rows: Sequence[Any]) -> None:
        """Write as the administrator."""
        connection = await asyncpg.connect(self.database.url)
        try:
            await connection.executemany(command, rows)
        finally:
            await connection.close()

    async def activate(self, generation: int, activation: int, recipes: Sequence[str]) -> None:
        """Activate generations in Postgres."""
        await self.sql(
            "INSERT INTO loader.generations (generation, tenant, status) VALUES ($1, $2, 'loaded') "
            "ON CONFLICT DO NOTHING",
            (generation, self.tenant),
        )
        await self.sql(
            "INSERT INTO loader.active (tenant, recipe, generation, activation) VALUES ($1, $2, $3, $4) "
            "ON CONFLICT (tenant, recipe) DO UPDATE "
            "SET generation = excluded.generation, activation = excluded.activation",
            *((self.tenant, recipe, generation, activation) for recipe in recipes),
        )

    async def lists(
        self, generation: int, recipe: str, lists: dict[str, list[tuple[str, float]]], *, redis: bool = True
    ) -> None:
        """Put lists into Postgres, and into Redis, as the loader does."""
        partition = f"lists_{generation}_{self.tenant.replace('-', '_')}"
        await self.sql(
            f"CREATE TABLE IF NOT EXISTS loader.{partition} PARTITION OF loader.lists "
            f"FOR VALUES IN ({generation})",
            (),
        )
        await self.sql(
            "INSERT INTO loader.lists VALUES ($1, $2, $3, $4, $5::text::jsonb)",
            *(
                (self.tenant, generation, recipe, identifier, orjson.dumps(items).decode())
                for identifier, items in lists.items()
            ),
        )
        if redis:
            async with self.redis as store:
                await store.mset(
                    {
                        f"endcap:rec:{self.tenant}:{generation}:{recipe}:{identifier}": orjson.dumps(items)
                        for identifier, items in lists.items()
                    }
                )
                await store.set(f"endcap:filled:{self.tenant}:{generation}", len(lists))

    async def publish(self, topic: Topic, *events: Event) -> None:
        """Write events to Kafka as their producers do."""
        records = [encoded(event, "test", f"00-{'1' * 32}-{'2' * 16}-00") for event in events]
        if topic is CAMPAIGNS:
            self.campaigns |= {record.key for record in records if record.key is not None}
        await self._deliver(topic, records)

    async def withdraw_campaigns(self) -> None:
        """Write tombstones: each recommender that starts later would load their models."""
        await self._deliver(CAMPAIGNS, [Record(key, None) for key in self.campaigns])

    async def delete(self, topic: Topic, key: str) -> None:
        """Write a tombstone."""
        await self._deliver(topic, [Record(key.encode(), None)])

    async def _deliver(self, topic: Topic, records: Sequence[Record]) -> None:
        producer = Producer(self.kafka, "test")
        async with AsyncExitStack() as stack:
            producer.start()
            stack.push_async_callback(producer.stop)
            await producer.deliver(topic.name, records, PATIENCE)

    async def keys(self) -> None:
        """Make the tenant's keys: one API key per scope, and a key pair of the account."""
        await self.sql("INSERT INTO engine.accounts VALUES ($1) ON CONFLICT DO NOTHING", (self.account,))
        await self.sql(
            "INSERT INTO engine.tenants VALUES ($1, $2, $1) ON CONFLICT DO NOTHING",
            (self.tenant, self.account),
        )
        await self.sql(
            "INSERT INTO engine.keys (id, key_hash, kind, tenant, scopes, label) "
            "VALUES ($1, $2, 'key', $3, $4, 'test')",
            *((name, hash_key(KEYS[name]), self.tenant, [name]) for name in ("read", "ingest")),
        )
        await self.sql(
            "INSERT INTO engine.aws_keys (access_key_id, account, secret_encrypted, label) "
            "VALUES ($1, $2, $3, 'test')",
            (AWS[0], self.account, encrypt(AWS[1], self.secret_key)),
        )

    def pointer(self, activation: int, **generations: int) -> CacheRefreshed:
        """Return the event that the loader publishes."""
        return CacheRefreshed(
            event_id=f"{self.tenant}-{activation}",
            tenant=self.tenant,
            occurred_at=datetime.now(UTC),
            activation=activation,
            generations={name.replace("_", "-"): number for name, number in generations.items()},
        )

    def item(self, item_id: str, **fields: Any) -> ItemChanged:
        """Return the event of an item."""
        return ItemChanged(
            event_id=f"{self.tenant}-{item_id}-{uuid.uuid4()}",
            tenant=self.tenant,
            occurred_at=datetime.now(UTC),
            item_id=item_id,
            **fields,
        )

    def interaction(self, kind: str, item: str | None, **fields: Any) -> InteractionRecorded:
        """Return an interaction of now, or of `ago` before now."""
        at = datetime.now(UTC) - fields.pop("ago", timedelta())
        defaults = {"event_id": str(uuid.uuid4()), "occurred_at": at, "received_at": datetime.now(UTC)}
        return InteractionRecorded(
            tenant=self.tenant, event_type=kind, item_id=item, **{**defaults, **fields}
        )


def without_id(answer: httpx.Response) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of an answer without its own id."""
    headers = dict(answer.headers)
    id_ = headers.pop("x-recommendation-id")
    assert answer.content.count(id_.encode()) == 1
    return answer.content.replace(id_.encode(), b""), headers
