"""Delete events that are older than their retention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from services.tracker.store.interactions import SQL

if TYPE_CHECKING:
    from shared.postgres import Database

EVERY_SECONDS = 600.0
ROWS = 5_000
"""Events of one transaction, for which batches that are being stored wait; arbitrary."""

log = structlog.get_logger()


class Retention:
    """Deletes events and conflicts after a number of days. Several processes may run it at once."""

    def __init__(self, database: Database, days: float) -> None:
        self._database = database
        self._days = days

    async def clean(self) -> int:
        """Delete what is older, and correct the counts; return the number of events."""
        before = datetime.now(UTC) - timedelta(days=self._days)
        deleted = await self._delete(before)
        total = deleted
        while deleted == ROWS:
            deleted = await self._delete(before)
            total += deleted
        conflicts = await self._database.fetchval(*SQL.delete_old_conflicts(before=before))
        if total or conflicts:
            log.info("tracker.events_deleted", events=total, conflicts=conflicts, before=before.isoformat())
        return total

    async def _delete(self, before: datetime) -> int:
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_log())
            return int(await connection.fetchval(*SQL.delete_old_events(before=before, rows=ROWS)))
