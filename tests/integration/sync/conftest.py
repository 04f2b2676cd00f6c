"""sync's importer and stores on a real Postgres and a real object store; no Kafka, no HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.sync.store import Files
from shared.postgres import Database as Pool
from shared.settings import PostgresSettings
from tests.integration.sync.shop import TENANT, Shop
from tests.support.kafka import running
from tests.support.stack import Database, ObjectStore
from tests.support.tenants import make_tenant


@pytest.fixture
async def shop(database: Database, s3: ObjectStore, bucket: str) -> AsyncIterator[Shop]:
    """A shop that nothing is known of, but that it is a tenant."""
    await make_tenant(database, TENANT)
    pool = Pool(PostgresSettings(database_url=database.role_url("sync")), "sync")
    async with running(pool):
        yield Shop(pool, Files(s3.client(), bucket, bucket))
