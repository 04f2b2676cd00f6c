"""Schedules in Postgres, and the runs of the times that are due."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from services.trainer.domain.run_options import RunOptions
from services.trainer.domain.schedules import DEFAULT_SCHEDULE, MAX_SCHEDULES, Cron, Schedule
from services.trainer.store.sql import SQL

if TYPE_CHECKING:
    from services.trainer.store.runs import Runs
    from shared.postgres import Database

DueOutcome = Literal["requested", "too late", "no data"]


class Schedules:
    """The schedules of all tenants."""

    def __init__(self, database: Database, runs: Runs) -> None:
        self._database = database
        self._runs = runs

    async def of_tenant(self, tenant: str, name: str | None = None) -> list[dict[str, Any]]:
        """Return the schedules of a tenant by name, or the one of this name."""
        rows = await self._database.fetch(*SQL.schedules(tenant=tenant, name=name))
        return [dict(row) for row in rows]

    async def put(self, tenant: str, name: str, schedule: Schedule, now: datetime) -> bool | None:
        """Add a schedule or change the one of this name; return whether it is new, None for too many.

        A schedule whose times change is due next at their first one after `now`.
        """
        async with self._database.transaction() as connection:
            await self._runs.lock(connection, tenant)
            names = [row["name"] for row in await connection.fetch(*SQL.schedules(tenant=tenant, name=None))]
            if name not in names and len(names) >= MAX_SCHEDULES:
                return None
            await connection.execute(
                *SQL.put_schedule(
                    tenant=tenant,
                    name=name,
                    kind=schedule.options.kind,
                    options=schedule.options.stored(),
                    cron=schedule.cron.expression,
                    timezone=schedule.cron.timezone,
                    enabled=schedule.enabled,
                    next_due=schedule.cron.next_after(now),
                )
            )
        return name not in names

    async def delete(self, tenant: str, name: str) -> bool:
        """Delete a schedule; return False if there is none, or it is that of the settings."""
        return await self._database.execute(*SQL.delete_schedule(tenant=tenant, name=name)) != "DELETE 0"

    async def follow_settings(self, expression: str, now: datetime) -> None:
        """Give every tenant the default schedule of the settings, or take it away if that is empty."""
        if not expression:
            await self._database.execute(*SQL.forget_settings())
            return
        due = Cron(expression).next_after(now)
        await self._database.execute(
            *SQL.follow_settings(name=DEFAULT_SCHEDULE, cron=expression, next_due=due)
        )

    async def due(self, now: datetime) -> list[tuple[str, str]]:
        """Return (tenant, name) of the schedules that are due."""
        rows = await self._database.fetch(*SQL.due_schedules(now=now))
        return [(row["tenant"], row["name"]) for row in rows]

    async def request_run(
        self, tenant: str, name: str, now: datetime, catch_up: timedelta
    ) -> tuple[DueOutcome, int | None] | None:
        """Request the run of the last time that is due, and set the next time; None if another worker has.

        No run is requested for a time longer ago than `catch_up`, and for a tenant without interactions.
        """
        async with self._database.transaction() as connection:
            await self._runs.lock(connection, tenant)
            row = await connection.fetchrow(*SQL.lock_due_schedule(tenant=tenant, name=name, now=now))
            if row is None:
                return None
            cron = Cron(row["cron"], row["timezone"])
            due = cron.last_until(now)
            has_data = await connection.fetchval(*SQL.has_data(tenant=tenant))
            if has_data is None:
                await connection.execute(*SQL.delete_schedules(tenant=tenant))
                return None
            outcome: DueOutcome = "requested" if has_data else "no data"
            outcome = "too late" if now - due > catch_up else outcome
            run = None
            if outcome == "requested":
                options = RunOptions(kind=row["kind"], **row["options"])
                requested = await self._runs.request_in(
                    connection, tenant, f"schedule {name}", options=options
                )
                run = requested.run
            await connection.execute(
                *SQL.advance_schedule(
                    tenant=tenant, name=name, next_due=cron.next_after(now), due=due, run=run
                )
            )
        return outcome, run
