"""A database with the tables that a test needs, and a pool on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from shared.postgres import Database, migrate
from shared.settings import PostgresSettings
from tests.support.kafka import running

JOBS = "-- include shared/jobs/migrations/0001_jobs.sql\n"
OUTBOX = "-- include shared/outbox/migrations/0001_outbox.sql\n"


@asynccontextmanager
async def pool_on(url: str, folder: Path, tables: str) -> AsyncIterator[Database]:
    """Yield a pool of the service tracker; the migration `tables`, written to `folder`, has run."""
    (folder / "0001_pre_tables.sql").write_text(tables)
    await migrate(url, "tracker", folder)
    database = Database(PostgresSettings(database_url=url), "tracker")
    async with running(database):
        yield database
