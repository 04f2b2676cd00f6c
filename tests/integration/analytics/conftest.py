"""The stores of analytics on a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest_asyncio

from services.analytics.settings import Settings
from services.analytics.store import Audit, Counting, Reports
from shared.postgres import Database
from shared.settings import PostgresSettings
from tests.support.stack import Database as OwnDatabase


@dataclass(frozen=True)
class Analytics:
    """The stores, which share a database."""

    database: Database
    settings: Settings
    counting: Counting
    reports: Reports
    audit: Audit


@pytest_asyncio.fixture(scope="module")
async def analytics(module_database: OwnDatabase) -> AsyncIterator[Analytics]:
    settings = Settings(postgres=PostgresSettings(database_url=module_database.role_url("analytics")))
    database = Database(settings.postgres, "analytics")
    await database.start()
    yield Analytics(
        database, settings, Counting(database, settings), Reports(database), Audit(database, settings)
    )
    await database.stop()
