"""What the schedule has asked for already."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from services.trainer.store.sql import SQL

if TYPE_CHECKING:
    from services.trainer.store.runs import Runs
    from shared.postgres import Database


class Schedules:
    """A scheduled time is taken by one worker, whichever is first."""

    def __init__(self, database: Database, runs: Runs) -> None:
        self._database = database
        self._runs = runs

    async def ask(self, due: datetime) -> list[int]:
        """Ask for a run of every tenant that has data and no run for this time; gives their numbers."""
        rows = await self._database.fetch(*SQL.tenants_with_data())
        asked = [await self._ask(row["tenant"], due) for row in rows]
        return [run for run in asked if run is not None]

    async def _ask(self, tenant: str, due: datetime) -> int | None:
        if await self._database.fetchval(*SQL.is_scheduled(tenant=tenant, due=due)):
            return None
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=tenant))
            if await connection.fetchval(*SQL.is_scheduled(tenant=tenant, due=due)):
                return None
            asked = await self._runs.ask_in(connection, tenant, "schedule")
            await connection.execute(*SQL.schedule(tenant=tenant, due=due, run=asked.run))
            return asked.run
