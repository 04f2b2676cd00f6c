"""Scheduled times for which runs were requested."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from services.trainer.store.sql import SQL

if TYPE_CHECKING:
    from services.trainer.store.runs import Runs
    from shared.postgres import Database


class Schedules:
    """Requests the runs of a scheduled time, once for all workers."""

    def __init__(self, database: Database, runs: Runs) -> None:
        self._database = database
        self._runs = runs

    async def request_runs(self, due: datetime) -> list[int]:
        """Request a run for each tenant with data and none for this time; return their numbers."""
        rows = await self._database.fetch(*SQL.tenants_with_data())
        runs = [await self._request_run(row["tenant"], due) for row in rows]
        return [run for run in runs if run is not None]

    async def _request_run(self, tenant: str, due: datetime) -> int | None:
        if await self._database.fetchval(*SQL.is_scheduled(tenant=tenant, due=due)):
            return None
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=tenant))
            if await connection.fetchval(*SQL.is_scheduled(tenant=tenant, due=due)):
                return None
            requested = await self._runs.request_in(connection, tenant, "schedule")
            await connection.execute(*SQL.schedule(tenant=tenant, due=due, run=requested.run))
            return requested.run
