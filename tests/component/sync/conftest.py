"""sync's processes as they run in production, on a real Kafka, Postgres and object store."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import pytest

from shared.settings import KafkaSettings
from tests.support.kafka import kafka_environment, raw_records, settings_for
from tests.support.processes import Process, process
from tests.support.stack import Database, ObjectStore
from tests.support.tenants import SECRET_KEY, SERVICE_KEY, Tenant, make_tenant
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DATA_BUCKET = "endcap-data"
UPLOADS_BUCKET = "endcap-uploads"


@dataclass(frozen=True)
class Sync:
    """The running service, a tenant of its own, and clients."""

    serve: Process
    tenant: Tenant
    environment: dict[str, str]
    database: Database
    kafka: KafkaSettings
    s3: S3Client = field(repr=False)
    http: httpx.Client = field(repr=False)

    def post(
        self, content: bytes, kind: str = "orders", key: str | None = None, **form: str
    ) -> httpx.Response:
        """POST a file."""
        return self.http.post(
            "/v1/imports",
            files={"file": ("file.csv", content)},
            data={"kind": kind, **form},
            headers={"x-api-key": key or self.tenant.catalogue},
        )

    def get(self, path: str, key: str | None = None) -> httpx.Response:
        """GET with the tenant's read key."""
        return self.http.get(path, headers={"x-api-key": key or self.tenant.read})

    def load(self, content: bytes, kind: str = "orders", **form: str) -> dict[str, Any]:
        """POST a file and wait for its end; the report."""
        accepted = self.post(content, kind, **form)
        assert accepted.status_code == 202, accepted.text
        return self.ended(accepted.json()["id"])

    def report(self, identity: str) -> dict[str, Any]:
        """An import as it is now."""
        answer = self.get(f"/v1/imports/{identity}")
        assert answer.status_code == 200, answer.text
        report: dict[str, Any] = answer.json()
        return report

    def ended(self, identity: str, *, relayed: bool = False) -> dict[str, Any]:
        """Wait until an import has ended (and is relayed); its report."""
        last = "relayed" if relayed else "finished_at"
        return until(
            lambda: self.report(identity),
            "the import ended",
            enough=lambda report: bool(report["status"] == "failed" or report[last]),
        )

    def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        """Whatever a query finds, in sync's schema."""

        async def fetch() -> list[dict[str, Any]]:
            connection = await asyncpg.connect(self.database.url, server_settings={"search_path": "sync"})
            try:
                return [dict(row) for row in await connection.fetch(query, *arguments)]
            finally:
                await connection.close()

        return asyncio.run(fetch())

    def ids_on(self, topic: str) -> list[str]:
        """The ids of this tenant's events on a topic."""
        records = asyncio.run(raw_records(self.kafka, topic))
        mine = f"{self.tenant.name}:".encode()
        return [
            dict(record.headers)["ce_id"].decode()
            for record in records
            if record.key is not None and (record.key.startswith(mine) or record.key == mine[:-1])
        ]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="endcap-sync-") as path:
        yield Path(path)


@pytest.fixture(scope="module")
def environment(module_database: Database, kafka_settings: KafkaSettings, s3: ObjectStore) -> dict[str, str]:
    """What every process of sync is told."""
    return {
        **module_database.environment,
        **s3.environment,
        **kafka_environment(kafka_settings),
        "ENDCAP_SECRET_KEY": SECRET_KEY,
        "ENDCAP_SERVICE_KEY": SERVICE_KEY,
        "SYNC_CHUNK_ROWS": "500",
    }


@pytest.fixture(scope="module")
def sync(
    module_database: Database, environment: dict[str, str], s3: ObjectStore, folder: Path
) -> Iterator[Sync]:
    """The HTTP process with a tenant that has a name of its own, since topics are shared."""
    name = f"shop-{folder.name[-8:].lower().replace('_', 'x')}"
    tenant = asyncio.run(make_tenant(module_database, name))
    client = s3.client()
    for bucket in (DATA_BUCKET, UPLOADS_BUCKET):
        if bucket not in {known["Name"] for known in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=bucket)
    with (
        process("sync", "serve", environment, folder) as serve,
        httpx.Client(base_url=serve.url, timeout=PATIENCE) as http,
    ):
        yield Sync(
            serve,
            tenant,
            environment,
            module_database,
            settings_for(environment),
            client,
            http,
        )


@pytest.fixture(scope="module")
def worker(sync: Sync, folder: Path) -> Iterator[Process]:
    """The worker beside it."""
    with process("sync", "worker", sync.environment, folder) as running:
        yield running


@pytest.fixture(scope="module")
def relay(sync: Sync, folder: Path) -> Iterator[Process]:
    """The relay beside them."""
    with process("sync", "relay", sync.environment, folder) as running:
        yield running
