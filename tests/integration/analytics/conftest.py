"""The stores of analytics on a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest_asyncio
from pydantic import SecretStr

from services.analytics.settings import Settings
from services.analytics.store import Audit, Counting, Lake, LakeWriter, Reports
from shared.postgres import Database
from shared.settings import PostgresSettings, S3Settings
from tests.integration.analytics.athena_client import Client, athena_client
from tests.support.stack import Database as OwnDatabase
from tests.support.stack import ObjectStore


@dataclass(frozen=True)
class Analytics:
    """The stores, which share a database."""

    database: Database
    settings: Settings
    counting: Counting
    reports: Reports
    audit: Audit
    lake: Lake
    writer: LakeWriter


@pytest_asyncio.fixture(scope="module")
async def analytics(
    module_database: OwnDatabase, s3: ObjectStore, module_bucket: str
) -> AsyncIterator[Analytics]:
    settings = Settings(
        postgres=PostgresSettings(database_url=module_database.role_url("analytics")),
        s3=S3Settings(
            aws_endpoint_url_s3=s3.endpoint,
            aws_region=s3.region,
            aws_access_key_id=s3.access_key_id,
            aws_secret_access_key=SecretStr(s3.secret_access_key),
            endcap_data_bucket=module_bucket,
        ),
    )
    database = Database(settings.postgres, "analytics")
    await database.start()
    lake = Lake(settings.s3)
    yield Analytics(
        database,
        settings,
        Counting(database, settings),
        Reports(database),
        Audit(database, settings),
        lake,
        LakeWriter(database, lake),
    )
    await database.stop()


@pytest_asyncio.fixture(scope="module")
async def client(
    analytics: Analytics, module_database: OwnDatabase, s3: ObjectStore, module_bucket: str
) -> AsyncIterator[Client]:
    async with athena_client(analytics, module_database, s3, module_bucket) as made:
        yield made
