"""The trainer's stores on a real Postgres and object store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest_asyncio
from asgi_lifespan import LifespanManager

from services.trainer import app
from services.trainer.settings import Settings, SyncSettings
from services.trainer.store import Files, Runs, Schedules, Snapshots
from shared.postgres import Database
from shared.settings import AuthSettings, PostgresSettings
from tests.support.stack import Database as OwnDatabase
from tests.support.stack import ObjectStore
from tests.support.tenants import SECRET_KEY, SERVICE_KEY, Tenant, make_tenant

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@dataclass
class Trainer:
    """The trainer's stores, and the administrator's hand on the log and the shop."""

    database: Database
    administrator: Database
    client: Any
    bucket: str

    @property
    def runs(self) -> Runs:
        return Runs(self.database)

    @property
    def schedules(self) -> Schedules:
        return Schedules(self.database, self.runs)

    @property
    def files(self) -> Files:
        return Files(self.client, self.bucket)

    @property
    def snapshots(self) -> Snapshots:
        return Snapshots(self.database, self.files)

    def text(self, key: str) -> str:
        return str(self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read().decode())

    async def happened(self, user: str | None, item: str | None, **fields: Any) -> None:
        """Put one interaction into the log."""
        number = await self.administrator.fetchval("SELECT count(*) FROM tracker.interactions")
        row = {
            "tenant": "default",
            "event_id": f"e{number}",
            "user_id": user,
            "item_id": item,
            "event_type": "purchase",
            "source": "events",
            "occurred_at": NOON,
            "received_at": NOON,
            "historical": False,
            "fingerprint": number,
        } | fields
        columns, places = ", ".join(row), ", ".join(f"${place}" for place in range(1, len(row) + 1))
        await self.administrator.execute(
            f"INSERT INTO tracker.interactions ({columns}) VALUES ({places})", *row.values()
        )

    async def dataset_groups(self, *tenants: str) -> None:
        """Make tenants as the engine does."""
        await self.administrator.execute(
            "INSERT INTO engine.accounts (id) VALUES ('000000000000') ON CONFLICT DO NOTHING"
        )
        for tenant in tenants:
            await self.administrator.execute(
                "INSERT INTO engine.tenants (id, account, dataset_group) VALUES ($1, '000000000000', $1)",
                tenant,
            )
            await self.administrator.execute(
                "INSERT INTO engine.resources (account, tenant, type, path, arn, name, status, document) "
                "VALUES ('000000000000', $1, 'dataset-group', 'dataset-group/' || $1, 'arn:' || $1, $1, "
                "'ACTIVE', '{}')",
                tenant,
            )

    async def item(self, item: str, **fields: Any) -> None:
        row = {"tenant": "default", "item_id": item} | fields
        columns, places = ", ".join(row), ", ".join(f"${place}" for place in range(1, len(row) + 1))
        await self.administrator.execute(
            f"INSERT INTO sync.items ({columns}) VALUES ({places})", *row.values()
        )

    async def user(self, user: str, **fields: Any) -> None:
        row = {"tenant": "default", "user_id": user} | fields
        columns, places = ", ".join(row), ", ".join(f"${place}" for place in range(1, len(row) + 1))
        await self.administrator.execute(
            f"INSERT INTO sync.users ({columns}) VALUES ({places})", *row.values()
        )


@pytest_asyncio.fixture
async def trainer(database: OwnDatabase, s3: ObjectStore, bucket: str) -> AsyncIterator[Trainer]:
    own = Database(PostgresSettings(database_url=database.role_url("trainer")), "trainer")
    administrator = Database(PostgresSettings(database_url=database.url), "trainer")
    await own.start()
    await administrator.start()
    yield Trainer(own, administrator, s3.client(), bucket)
    await administrator.stop()
    await own.stop()


@pytest_asyncio.fixture
async def tenant(database: OwnDatabase) -> Tenant:
    return await make_tenant(database)


@pytest_asyncio.fixture
async def http(database: OwnDatabase) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        postgres=PostgresSettings(database_url=database.role_url("trainer")),
        auth=AuthSettings(endcap_secret_key=SECRET_KEY, endcap_service_key=SERVICE_KEY),
        sync=SyncSettings(endcap_sync_url="http://127.0.0.1:9"),  # where nobody listens
    )
    service = app.build(settings)
    async with (
        LifespanManager(service),
        httpx.AsyncClient(transport=httpx.ASGITransport(service), base_url="http://trainer") as client,
    ):
        yield client
