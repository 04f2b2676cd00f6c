"""Keep the files of the event lake few: each night, and within a minute of many new files."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from services.analytics.domain.lake_tables import BY_NAME
from services.analytics.metrics import LAKE_FILES
from services.analytics.store import lake_files
from services.analytics.store.lake import failures_as_transient
from services.analytics.store.sql import SQL
from shared.errors import Transient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltalake import DeltaTable

    from services.analytics.domain.lake_tables import LakeTable
    from services.analytics.settings import Settings
    from services.analytics.store.lake import Lake
    from shared.postgres import Database

log = structlog.get_logger()


class LakeMaintenance:
    """Joins small files and deletes repeated rows, a group of days at a time, and old days at night.

    Writers wait for a deletion alone, and erasures also while the files of a group are joined.
    """

    def __init__(self, database: Database, lake: Lake, settings: Settings) -> None:
        self._database = database
        self._lake = lake
        self._settings = settings

    async def run(self) -> None:
        """Maintain every table that is due. Two processes may do so at once: one of them changes nothing."""
        now = datetime.now(UTC)
        night = now.replace(hour=self._settings.lake_hour, minute=0, second=0, microsecond=0)
        before = night if night <= now else night - timedelta(days=1)
        due = SQL.lake_due(before=before, files=self._settings.lake_files)
        for row in await self._database.fetch(*due):
            await self.maintain(row["tenant"], row["name"], is_night=row["is_night"])

    async def maintain(self, tenant: str, name: str, *, is_night: bool = True) -> dict[str, int]:
        """Maintain one table; return the numbers of deleted rows and of removed files, {} if it failed."""
        state = await self._database.fetchrow(*SQL.lake_state(tenant=tenant, name=name))
        target = await asyncio.to_thread(self._lake.open, tenant, name)
        if state is None or target is None:
            return {}
        try:
            expired = await self._expire(tenant, BY_NAME[name], target) if is_night else 0
            repeated = 0
            for days in await asyncio.to_thread(lake_files.day_groups, target):
                repeated += await self._maintain_days(tenant, BY_NAME[name], days)
            with failures_as_transient(f"files of {name} of {tenant} were not removed"):
                removed = await asyncio.to_thread(self._remove_unused, tenant, name)
        except Transient as error:
            log.warning("lake.not_maintained", tenant=tenant, table=name, error=str(error))
            return {}
        at = state["at"] if is_night else None
        maintained = SQL.lake_maintained(tenant=tenant, name=name, files=state["added_files"], at=at)
        await self._database.execute(*maintained)
        result = {"expired": expired, "repeated": repeated, "files": removed}
        LAKE_FILES.inc(removed)
        log.info("lake.maintained", tenant=tenant, table=name, **result)
        return result

    async def _maintain_days(self, tenant: str, table: LakeTable, days: Sequence[str]) -> int:
        """Join the files of days, then delete repeated rows; return the number of these."""
        target = await asyncio.to_thread(self._lake.open, tenant, table.name)
        if target is None:
            return 0
        with failures_as_transient(f"files of {table.name} of {tenant} were not joined"):
            async with self._database.transaction() as connection:
                await connection.execute(*SQL.share_lake(tenant=tenant))
                await asyncio.to_thread(lake_files.join_files, target, days)
            predicates = await asyncio.to_thread(lake_files.repeated_rows, target, table, days)
        return sum([await self._delete(tenant, target, predicate) for predicate in predicates])

    async def _expire(self, tenant: str, table: LakeTable, target: DeltaTable) -> int:
        """Delete the rows of days that are older than the lake keeps them; return their number.

        Imported history is old when it comes, so it has a limit of its own, or none.
        """
        settings = self._settings
        deleted = 0
        for is_history, days in ((False, settings.lake_days), (True, settings.lake_history_days)):
            if days is None:
                continue
            oldest = f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%d}"
            with failures_as_transient(f"old days of {table.name} of {tenant} were not read"):
                predicate = await asyncio.to_thread(
                    lake_files.expired_rows, target, table, oldest, is_history=is_history
                )
            if predicate is not None:
                deleted += await self._delete(tenant, target, predicate)
        return deleted

    async def _delete(self, tenant: str, target: DeltaTable, predicate: str) -> int:
        with failures_as_transient(f"rows of {tenant} were not deleted"):
            async with self._database.transaction() as connection:
                await connection.execute(*SQL.lock_lake(tenant=tenant))
                return await asyncio.to_thread(_delete_now, target, predicate)

    def _remove_unused(self, tenant: str, name: str) -> int:
        target = self._lake.open(tenant, name)
        return 0 if target is None else self._lake.remove_unused(target)


def _delete_now(target: DeltaTable, predicate: str) -> int:
    target.update_incremental()
    return lake_files.delete(target, predicate)
