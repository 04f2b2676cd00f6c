"""Write records into the event lake, keep erased users out of it, and maintain its tables."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from services.analytics.domain.lake_tables import LakeTable, Row, rows_of
from services.analytics.metrics import LAKE_FILES, LAKE_ROWS
from services.analytics.store.counting import erased_among
from services.analytics.store.sql import SQL
from shared.errors import Transient

if TYPE_CHECKING:
    from services.analytics.settings import Settings
    from services.analytics.store.lake import Lake
    from shared.events import UserErasureRequested
    from shared.kafka import Positioned
    from shared.postgres import Connection, Database

log = structlog.get_logger()


class LakeWriter:
    """Adds the rows of records, each record once."""

    def __init__(self, database: Database, lake: Lake) -> None:
        self._database = database
        self._lake = lake

    async def write(self, table: LakeTable, received: Sequence[Positioned]) -> None:
        """Store the records of one poll. Raises Transient while the object store is unavailable."""
        by_tenant: dict[str, list[Positioned]] = {}
        for each in received:
            by_tenant.setdefault(each.event.tenant, []).append(each)
        for tenant, records in by_tenant.items():
            await self._write(table, tenant, records)

    async def _write(self, table: LakeTable, tenant: str, records: Sequence[Positioned]) -> None:
        ends: dict[int, int] = {}
        for _, partition, offset in records:
            ends[partition] = max(offset, ends.get(partition, -1))
        rows = [row for each in records for row in rows_of(table, *each)]
        # An erasure waits for this transaction, or this one sees its mark.
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.share_lake(tenant=tenant))
            kept = await _without_erased(connection, table, tenant, rows)
            await connection.execute(*SQL.lake_changed(tenant=tenant, name=table.name))
            count = await asyncio.to_thread(self._lake.append, table, tenant, kept, ends)
        LAKE_ROWS.labels(table.name).inc(count)

    async def erase(self, request: UserErasureRequested, session_ids: Sequence[str]) -> int:
        """Delete the rows of a user and the sessions, whose erasure is marked; return how many."""
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_lake(tenant=request.tenant))
            return await asyncio.to_thread(
                self._lake.erase, request.tenant, request.user_id, session_ids, request.occurred_at
            )


async def _without_erased(
    connection: Connection, table: LakeTable, tenant: str, rows: Sequence[Row]
) -> list[Row]:
    """Return the rows except those of erased users, and of erased sessions where no user is known."""

    def person(row: Row) -> str | None:
        name: str | None = next((row[column] for column in table.persons if row[column]), None)
        return name

    erased = await erased_among(connection, [(tenant, name) for row in rows if (name := person(row))])
    if not erased:
        return [*rows]
    never = datetime.min.replace(tzinfo=UTC)
    return [row for row in rows if row["occurred_at"] > erased.get((tenant, person(row) or ""), never)]


class LakeMaintenance:
    """Compacts the tables that changed, once a night, and deletes old days and repeated rows."""

    def __init__(self, database: Database, lake: Lake, settings: Settings) -> None:
        self._database = database
        self._lake = lake
        self._settings = settings

    async def run(self) -> None:
        """Maintain every table that is due."""
        now = datetime.now(UTC)
        night = now.replace(hour=self._settings.lake_hour, minute=0, second=0, microsecond=0)
        before = night if night <= now else night - timedelta(days=1)
        for row in await self._database.fetch(*SQL.lake_due(before=before)):
            await self.maintain(row["tenant"], row["name"])

    async def maintain(self, tenant: str, name: str) -> dict[str, int]:
        """Maintain one table; return the numbers of repeated rows and of files that went."""
        oldest = datetime.now(UTC) - timedelta(days=self._settings.lake_days)
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_lake(tenant=tenant))
            try:
                result = await asyncio.to_thread(self._lake.maintain, tenant, name, f"{oldest:%Y-%m-%d}")
            except Transient as error:
                log.warning("lake.not_maintained", tenant=tenant, table=name, error=str(error))
                return {}
            await connection.execute(*SQL.lake_maintained(tenant=tenant, name=name))
        LAKE_FILES.inc(result["files"])
        log.info("lake.maintained", tenant=tenant, table=name, **result)
        return result
