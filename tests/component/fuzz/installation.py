"""All services as they run in production, on real Kafka, Postgres, Redis and S3."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import redis

from deploy.local.ports import SERVICES
from shared.settings import KafkaSettings
from tests.support.engine import engine_environment
from tests.support.processes import Process, process
from tests.support.stack import Components, Database, ObjectStore
from tests.support.tenants import Tenant, make_tenant
from tests.support.waiting import PATIENCE

MANY = "1000000"
QUOTAS = (
    *(f"ENGINE_MAX_PENDING_{kind}" for kind in ("IMPORTS", "VERSIONS", "BATCHES", "EXPORTS", "DELETIONS")),
    *(f"ENGINE_MAX_{kind}" for kind in ("DATASET_GROUPS", "SCHEMAS", "SOLUTIONS", "CAMPAIGNS", "FILTERS")),
    "ENGINE_MAX_RECOMMENDERS",
    "ROUTER_MAX_EXPERIMENTS",
    "SYNC_MAX_PENDING_IMPORTS",
)
"""Limits that thousands of requests would reach, after which none would go further."""


@dataclass(frozen=True)
class Installation:
    """The running services and a tenant that belongs to this test alone."""

    services: Mapping[str, Process]
    worker: Process
    tenant: Tenant
    database: Database
    kafka: KafkaSettings
    bucket: str
    http: httpx.Client
    s3: Any

    @property
    def place(self) -> str:
        """Where the tenant's jobs may read and write, as an address that ends with a slash."""
        return f"s3://{self.bucket}/{self.tenant.name}/"

    def call(self, operation: str, *, key: str | None = None, **body: Any) -> Any:
        """Call an operation of the control plane, which must succeed."""
        headers = {"x-amz-target": f"AmazonPersonalize.{operation}", "x-api-key": key or self.tenant.admin}
        return self.request("POST", "engine", "/", json=body, headers=headers)

    def request(self, method: str, service: str, path: str, **options: Any) -> Any:
        """Send a request that must succeed, as the tenant's administrator."""
        headers = {"x-api-key": self.tenant.admin, **options.pop("headers", {})}
        answer = self.http.request(method, self.services[service].url + path, headers=headers, **options)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def execute(self, *statements: tuple[Any, ...]) -> None:
        """Execute SQL statements, each a text and its values."""
        asyncio.run(_executed(self.database.url, statements))


async def _executed(url: str, statements: Sequence[tuple[Any, ...]]) -> None:
    connection = await asyncpg.connect(url)
    try:
        for text, *values in statements:
            await connection.execute(text, *values)
    finally:
        await connection.close()


@contextmanager
def running(
    components: Components, database: Database, s3: ObjectStore, kafka: KafkaSettings, folder: Path
) -> Iterator[Installation]:
    """Start the services side by side, since each start is seconds of waiting."""
    bucket = f"fuzz-{uuid.uuid4().hex[:8]}"
    client = s3.client()
    for name in (f"{bucket}-data", f"{bucket}-uploads"):
        client.create_bucket(Bucket=name)
    environment = _environment(components, database, s3, kafka, folder) | {
        "ENDCAP_DATA_BUCKET": f"{bucket}-data",
        "ENDCAP_UPLOADS_BUCKET": f"{bucket}-uploads",
    }
    tenant = asyncio.run(make_tenant(database, f"fuzz-{uuid.uuid4().hex[:8]}"))
    with ExitStack() as started, ThreadPoolExecutor(4) as starters:

        def start(service: str, command: str = "serve", **more: str) -> Process:
            return started.enter_context(process(service, command, environment | more, folder))

        worker = starters.submit(start, "engine", "worker")
        first = {service: starters.submit(start, service) for service in SERVICES if service != "router"}
        services = {service: future.result() for service, future in first.items()}
        services["router"] = start("router", ENDCAP_RECOMMENDER_URL=services["recommender"].url)
        http = started.enter_context(httpx.Client(timeout=PATIENCE, trust_env=False))
        yield Installation(
            services, worker.result(), tenant, database, kafka, f"{bucket}-uploads", http, client
        )


def _environment(
    components: Components, database: Database, s3: ObjectStore, kafka: KafkaSettings, folder: Path
) -> dict[str, str]:
    address = components.start("redis").environment["REDIS_URL"]
    memory: Any = redis.Redis.from_url(address)
    with memory:
        memory.flushdb()
    return {
        **engine_environment(database, s3, kafka, folder),
        **dict.fromkeys(QUOTAS, MANY),
        **{f"ENDCAP_{kind}_CALLS_PER_SECOND": "0" for kind in ("INGEST", "READ", "ADMIN")},
        "REDIS_URL": address,
        "RECOMMENDER_MODELS_FOLDER": str(folder / "models"),
        "RECOMMENDER_STREAM_SECONDS": "0.2",  # a request waits for the end of its answer
        "ANALYTICS_REPORT_WAIT_SECONDS": "0.2",
    }
