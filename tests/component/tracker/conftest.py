"""The tracker's two processes as they run in production, on a real Kafka and Postgres; no other service."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config

from shared.settings import KafkaSettings
from tests.support.kafka import kafka_environment
from tests.support.processes import Process, process
from tests.support.stack import Database
from tests.support.tenants import SECRET_KEY, SERVICE_KEY, Tenant, make_tenant
from tests.support.waiting import PATIENCE, eventually


@dataclass(frozen=True)
class Tracker:
    """The running tracker, its tenants, and clients for it."""

    serve: Process
    tenant: Tenant
    other: Tenant
    environment: dict[str, str]
    http: httpx.Client = field(repr=False)

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """POST JSON with the tenant's ingest key."""
        content = {"json": body} if not isinstance(body, bytes) else {"content": body}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(path, **content, headers={"x-api-key": self.tenant.ingest, **named})

    def client(self, tenant: Tenant | None = None, **options: Any) -> Any:
        """An unmodified boto3 client for events."""
        tenant = tenant or self.tenant
        return boto3.client(
            "personalize-events",
            endpoint_url=self.serve.url,
            region_name="eu-west-1",
            aws_access_key_id=tenant.access_key_id,
            aws_secret_access_key=options.pop("secret", tenant.secret_access_key),
            config=Config(**{"retries": {"max_attempts": 1}, **options}),
        )

    def stored(self, **query: Any) -> list[dict[str, Any]]:
        """What the log has of a user or a session, oldest first."""
        answer = self.http.get("/v1/events", params=query, headers={"x-api-key": self.tenant.read})
        assert answer.status_code == 200, answer.text
        events: list[dict[str, Any]] = answer.json()["events"]
        return events[::-1]

    async def until_stored(self, count: int, **query: Any) -> list[dict[str, Any]]:
        """Wait until the log has this many events of a user or a session, and return them."""
        return await eventually(lambda: self.stored(**query), enough=lambda events: len(events) >= count)

    def total(self) -> int:
        """How many events the log has."""
        answer = self.http.get("/v1/stats", headers={"x-api-key": self.tenant.read})
        total: int = answer.json()["total"]
        return total


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="endcap-tracker-") as path:
        yield Path(path)


@pytest.fixture(scope="module")
def environment(module_database: Database, kafka_settings: KafkaSettings) -> dict[str, str]:
    """What both processes are told."""
    return {
        **module_database.environment,
        **kafka_environment(kafka_settings),
        "ENDCAP_SECRET_KEY": SECRET_KEY,
        "ENDCAP_SERVICE_KEY": SERVICE_KEY,
    }


@pytest.fixture(scope="module")
def tracker(module_database: Database, environment: dict[str, str], folder: Path) -> Iterator[Tracker]:
    """The tracker with two tenants of two accounts."""
    tenant = asyncio.run(make_tenant(module_database, f"shop-{folder.name[-6:].lower().replace('_', 'x')}"))
    other = asyncio.run(make_tenant(module_database, f"other-{tenant.name}", "222222222222"))
    with (
        process("tracker", "serve", environment, folder) as serve,
        httpx.Client(base_url=serve.url, timeout=PATIENCE) as http,
    ):
        yield Tracker(serve, tenant, other, environment, http)


@pytest.fixture(scope="module")
def worker(tracker: Tracker, folder: Path) -> Iterator[Process]:
    """The worker beside it."""
    with process("tracker", "worker", tracker.environment, folder) as running:
        yield running


@pytest.fixture
def user() -> str:
    """Return the id of a user who has no events yet."""
    return f"user-{uuid.uuid4()}"
