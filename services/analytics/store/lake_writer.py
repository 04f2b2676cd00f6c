"""Write records into the event lake, and keep erased users out of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from services.analytics.domain.lake_tables import LakeTable, Row, happened_by, rows_of
from services.analytics.metrics import LAKE_ROWS
from services.analytics.store.counting import erased_among
from services.analytics.store.sql import SQL

if TYPE_CHECKING:
    from services.analytics.store.lake import Lake
    from shared.events import UserErasureRequested
    from shared.kafka import Positioned
    from shared.postgres import Connection, Database


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
        rows = await asyncio.to_thread(_rows, table, records)
        # An erasure waits for this transaction, or this one sees its mark.
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.share_lake(tenant=tenant))
            kept = await _without_erased(connection, table, tenant, rows)
            files = len({row["dt"] for row in kept})  # one for each day
            await connection.execute(*SQL.lake_changed(tenant=tenant, name=table.name, files=files))
            count = await asyncio.to_thread(self._lake.append, table, tenant, kept, ends)
        LAKE_ROWS.labels(table.name).inc(count)

    async def erase(self, request: UserErasureRequested, session_ids: Sequence[str]) -> int:
        """Delete the rows of a user and the sessions, whose erasure is marked; return how many."""
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_lake(tenant=request.tenant))
            return await asyncio.to_thread(
                self._lake.erase, request.tenant, request.user_id, session_ids, request.occurred_at
            )


def _rows(table: LakeTable, records: Sequence[Positioned]) -> list[Row]:
    return [row for each in records for row in rows_of(table, *each)]


async def _without_erased(
    connection: Connection, table: LakeTable, tenant: str, rows: Sequence[Row]
) -> list[Row]:
    """Return the rows except those of erased users, and of erased sessions where no user is known."""

    def person(row: Row) -> str | None:
        for column in table.persons:
            if name := row[column]:
                return str(name)
        return None

    erased = await erased_among(connection, [(tenant, name) for row in rows if (name := person(row))])
    if not erased:
        return [*rows]
    never = datetime.min.replace(tzinfo=UTC)
    return [row for row in rows if happened_by(row) > erased.get((tenant, person(row) or ""), never)]
