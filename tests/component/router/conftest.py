"""A router with a real Postgres and Kafka, and a stub of the recommender that returns its requests."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import orjson
import pytest
import uvicorn
from aiohttp import web
from asgi_lifespan import LifespanManager
from pydantic import SecretStr

from services.router import app
from services.router.settings import Settings, UpstreamSettings
from shared.auth import encrypt, hash_key, new_secret_key
from shared.events import Event, InteractionRecorded, VariantExposed
from shared.events.topics import EXPOSURES, Topic
from shared.experiments import Experiment
from shared.kafka import encoded
from shared.kafka.producer import Producer
from shared.postgres import migrate
from shared.settings import AuthSettings, KafkaSettings, PostgresSettings
from tests.support.waiting import PATIENCE, eventually

if TYPE_CHECKING:
    from tests.support.stack import Database, PostgresServer

ACCOUNT = "000000000000"
SERVICE_KEY = "ek_service_test"
SECRET = "a secret access key of forty characters!"


@pytest.fixture(scope="session")
async def views(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """Yield the name of a template database with the schemas of the router, the engine and the tracker."""
    with postgres_server.database() as database:
        for service in ("engine", "tracker", "router"):
            await migrate(database.url, service, Path("services") / service / "migrations")
        yield database.url.rpartition("/")[2]


@dataclass
class Recommender:
    """A stub that answers with the request, and records it."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    replays: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Return the request as JSON."""
        body = await request.read()
        received = {
            "path": request.raw_path.partition("?")[0],
            "query": dict(request.query),
            "tenant": request.headers.get("x-endcap-tenant"),
            "key": request.headers.get("x-api-key"),
            "body": orjson.loads(body) if body else None,
        }
        self.requests.append(received)
        if received["path"].endswith("/replay"):
            return web.json_response({"answers": self.replays})
        if "strategy" in received["query"]:
            return web.json_response({"error": "UnknownStrategy", "detail": "no such"}, status=400)
        headers = {"X-Recs-Source": "redis", "X-Recs-Generation": "7"}
        headers |= {"X-Experiment": "home;v=1", "X-Variant": "a"} if "u1" in str(received) else {}
        if request.method == "POST":
            answer = {
                "itemList": [{"itemId": "i1", "score": 0.5}],
                "recommendationId": "RID-1",
                "said": received,
            }
            return web.json_response(answer, headers=headers)
        listed = [{"product_id": "i1", "score": 0.5}]
        return web.json_response({"recommendations": listed, "said": received}, headers=headers)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Recommender]:
        """Listen on a free port."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


@dataclass
class World:
    """The components and the tenant of a router."""

    database: Database
    kafka: KafkaSettings
    recommender: Recommender
    tenant: str = field(default_factory=lambda: f"shop-{uuid.uuid4().hex[:8]}")
    secret_key: str = field(default_factory=new_secret_key)
    keys: dict[str, str] = field(
        default_factory=lambda: {name: f"ek_{name}_{uuid.uuid4().hex}" for name in ("read", "admin")}
    )
    access_key_id: str = field(default_factory=lambda: f"ENDC{uuid.uuid4().hex[:16].upper()}")

    def settings(self, **changes: Any) -> Settings:
        """Return settings for these components."""
        postgres = changes.pop("postgres", self.database.role_url("router"))
        return Settings(
            kafka=changes.pop("kafka", self.kafka),
            postgres=PostgresSettings(database_url=postgres),
            upstream=UpstreamSettings(endcap_recommender_url=changes.pop("upstream", self.recommender.url)),
            auth=changes.pop("auth", None)
            or AuthSettings(
                endcap_service_key=SecretStr(SERVICE_KEY), endcap_secret_key=SecretStr(self.secret_key)
            ),
            **({"poll_seconds": 0.2} | changes),
        )

    @asynccontextmanager
    async def router(self, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        """Yield a client of the serving process, with the tenant's read key."""
        serving = app.build(self.settings(**changes))
        async with (
            LifespanManager(serving, startup_timeout=PATIENCE, shutdown_timeout=PATIENCE),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(serving),
                base_url="http://router",
                headers={"x-api-key": self.keys["read"]},
            ) as caller,
        ):
            yield caller

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Yield the URL of the serving process, for clients that need a port."""
        config = uvicorn.Config(app.build(self.settings()), "127.0.0.1", 0, log_config=None, lifespan="on")
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        task = asyncio.create_task(server.serve())
        await eventually(lambda: server.started)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            with suppress(asyncio.CancelledError):
                await task

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """Run the worker process."""
        async with LifespanManager(
            app.worker(self.settings()), startup_timeout=PATIENCE, shutdown_timeout=PATIENCE
        ):
            yield

    @property
    def admin(self) -> dict[str, str]:
        """Return the headers of an administrator."""
        return {"x-api-key": self.keys["admin"]}

    async def sql(self, command: str, *rows: Sequence[Any]) -> list[asyncpg.Record]:
        """Read or write as the administrator."""
        connection = await asyncpg.connect(self.database.url)
        try:
            if not rows:
                return list(await connection.fetch(command))
            await connection.executemany(command, rows)
            return []
        finally:
            await connection.close()

    async def prepare(self) -> None:
        """Make the tenant, its keys, and a key pair of its account."""
        await self.sql("INSERT INTO engine.accounts VALUES ($1) ON CONFLICT DO NOTHING", (ACCOUNT,))
        await self.sql("INSERT INTO engine.tenants VALUES ($1, $2, $1)", (self.tenant, ACCOUNT))
        await self.sql(
            "INSERT INTO engine.resources (account, tenant, type, path, arn, name, status, document) "
            "VALUES ($1, $2, $3, $3 || '/' || $4, $5, $4, 'ACTIVE', '{}')",
            (ACCOUNT, self.tenant, "dataset-group", self.tenant, f"arn:group/{self.tenant}"),
            (ACCOUNT, self.tenant, "campaign", "plain", "arn:aws:personalize:::campaign/plain"),
        )
        await self.sql(
            "INSERT INTO engine.resources (account, tenant, type, path, arn, name, status, document, facts) "
            "VALUES ($1, $2, 'recommender', 'recommender/' || $3, $4, $3, 'ACTIVE', '{}', "
            '\'{"model_uri": "s3://a/b"}\')',
            (ACCOUNT, self.tenant, "you", "arn:aws:personalize:::recommender/you"),
        )
        await self.sql(
            "INSERT INTO engine.keys (id, key_hash, kind, tenant, scopes, label) "
            "VALUES ($1, $2, 'key', $3, $4, 'test')",
            *((key, hash_key(key), self.tenant, [name]) for name, key in self.keys.items()),
        )
        await self.sql(
            "INSERT INTO engine.aws_keys (access_key_id, account, secret_encrypted, label) "
            "VALUES ($1, $2, $3, 'test')",
            (self.access_key_id, ACCOUNT, encrypt(SECRET, self.secret_key)),
        )

    async def publish(self, topic: Topic, *events: Event) -> None:
        """Write events to Kafka as their producers do."""
        producer = Producer(self.kafka, "test")
        async with AsyncExitStack() as stack:
            producer.start()
            stack.push_async_callback(producer.stop)
            records = [encoded(event, "test", f"00-{'1' * 32}-{'2' * 16}-00") for event in events]
            await producer.deliver(topic.name, records, PATIENCE)

    async def expose(self, *units: str) -> None:
        """Publish exposures of units to the variants of the running experiment, as the recommender does."""
        (row,) = await self.sql("SELECT * FROM router.experiments WHERE status = 'running'")
        documents = {name: orjson.loads(row[name]) for name in ("variants", "forced", "design")}
        experiment = Experiment.model_validate({**row, **documents})
        variants = [(unit, experiment.assign(unit)) for unit in units]
        await self.publish(
            EXPOSURES,
            *(
                VariantExposed(
                    event_id=uuid.uuid4().hex,
                    tenant=self.tenant,
                    occurred_at=datetime.now(UTC),
                    experiment=experiment.name,
                    experiment_version=experiment.version,
                    variant=variant.name,
                    unit=unit,
                    surface=experiment.surface,
                )
                for unit, variant in variants
                if variant is not None
            ),
        )

    def purchase(self, user: str, **fields: Any) -> InteractionRecorded:
        """Return a purchase of now."""
        now = datetime.now(UTC)
        defaults = {"event_id": str(uuid.uuid4()), "occurred_at": now, "received_at": now, "value": 2.5}
        return InteractionRecorded(
            tenant=self.tenant, user_id=user, event_type="purchase", item_id="i1", **{**defaults, **fields}
        )


@pytest.fixture
async def world(
    postgres_server: PostgresServer, views: str, kafka_settings: KafkaSettings
) -> AsyncIterator[World]:
    """Yield a new database, tenant and stub of the recommender."""
    with postgres_server.database(template=views) as database:
        async with Recommender().running() as recommender:
            made = World(database, kafka_settings, recommender)
            await made.prepare()
            yield made
