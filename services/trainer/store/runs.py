"""Runs and their steps in Postgres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from services.trainer.domain import STEPS, Run
from services.trainer.store.sql import SQL
from shared import jobs, outbox
from shared.errors import Permanent
from shared.events import BatchCompleted, BatchFailed
from shared.events.topics import BATCHES

if TYPE_CHECKING:
    from shared.postgres import Connection, Database


@dataclass(frozen=True, slots=True)
class Asked:
    """The run that somebody asked for; `joined` when it was queued already."""

    run: int
    joined: bool


@dataclass(frozen=True, slots=True)
class StepState:
    """One step, and what it must not do twice."""

    name: str
    status: str
    detail: dict[str, Any]


class Runs:
    """At any time a tenant has one running run and one queued run at the most.

    A run has a job only once it may start, so that no worker waits for another one's run.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ask(
        self, tenant: str, reason: str, *, import_id: str | None = None, event_id: str | None = None
    ) -> Asked:
        """Queue a run, or join the one that is queued. The same event asks only once."""
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=tenant))
            if event_id is not None:
                known = await connection.fetchval(*SQL.request(event_id=event_id))
                if known is not None:
                    return Asked(known, joined=True)
            asked = await self.ask_in(connection, tenant, reason, import_id=import_id)
            if event_id is not None:
                await connection.execute(*SQL.add_request(event_id=event_id, run=asked.run))
            return asked

    async def ask_in(
        self, connection: Connection, tenant: str, reason: str, *, import_id: str | None = None
    ) -> Asked:
        """The same, in the caller's transaction, which has the tenant's lock."""
        run = await connection.fetchval(*SQL.join_queued(tenant=tenant, reason=reason, import_id=import_id))
        if run is not None:
            return Asked(run, joined=True)
        run = await connection.fetchval(*SQL.add_run(tenant=tenant, reason=reason, import_id=import_id))
        await connection.execute(*SQL.add_steps(run=run, names=list(STEPS)))
        await self._start_next(connection, tenant)
        return Asked(run, joined=False)

    async def start_waiting(self) -> None:
        """Start what is queued and nobody is in the way of: a net below `complete` and `fail`."""
        for row in await self._database.fetch(*SQL.tenants_waiting()):
            async with self._database.transaction() as connection:
                await connection.execute(*SQL.lock_tenant(tenant=row["tenant"]))
                await self._start_next(connection, row["tenant"])

    async def begin(self, number: int) -> Run:
        """The run, which is running from now on unless it has ended."""
        run = await self._run(number)
        if run.status == "queued":
            async with self._database.transaction() as connection:
                await connection.execute(*SQL.lock_tenant(tenant=run.tenant))
                await connection.execute(*SQL.begin(run=number, tenant=run.tenant))
            run = await self._run(number)
        return run

    async def steps(self, run: int) -> dict[str, StepState]:
        """The steps by name, in their order."""
        rows = await self._database.fetch(*SQL.steps_of(run=run))
        return {row["name"]: StepState(row["name"], row["status"], row["detail"]) for row in rows}

    async def begin_step(self, run: int, name: str) -> datetime:
        """Mark a step as running; when it began for the first time."""
        began = await self._database.fetchval(*SQL.begin_step(run=run, name=name))
        if began is None:
            raise Permanent(f"step {name} of run {run} has ended already")
        assert isinstance(began, datetime)
        return began

    async def report_step(self, run: int, name: str, progress: float, detail: Mapping[str, Any]) -> None:
        """Show how far a step is (0 to 1), and keep `detail` for a later attempt."""
        await self._database.execute(
            *SQL.report_step(run=run, name=name, progress=progress, detail=dict(detail))
        )

    async def end_step(self, run: int, name: str, status: Literal["done", "skipped"]) -> None:
        """Mark a step as done, or as one with nothing to do."""
        await self._database.execute(*SQL.end_step(run=run, name=name, status=status))

    async def complete(self, run: Run, batch: BatchCompleted) -> None:
        """Say that the run's lists lie whole in the object store."""
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=run.tenant))
            if await connection.execute(*SQL.complete(run=run.run)) != "UPDATE 0":
                await outbox.append(connection, BATCHES, [batch])
            await self._start_next(connection, run.tenant)

    async def fail(self, number: int, error: str, event_id: str, now: datetime) -> None:
        """End a run without lists, and say why."""
        run = await self._run(number)
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=run.tenant))
            step = await connection.fetchval(*SQL.fail_step(run=number))
            if await connection.execute(*SQL.fail(run=number, error=error)) != "UPDATE 0":
                failed = BatchFailed(
                    event_id=event_id,
                    tenant=run.tenant,
                    occurred_at=now,
                    run=number,
                    step=step or "start",
                    reason=error,
                )
                await outbox.append(connection, BATCHES, [failed])
            await self._start_next(connection, run.tenant)

    async def listed(self, tenant: str, *, run: int | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """The newest runs with their steps, or one of them."""
        rows = await self._database.fetch(*SQL.runs(tenant=tenant, run=run, limit=limit))
        return [dict(row) for row in rows]

    async def to_clean(self, keep: int) -> list[tuple[int, str]]:
        """(run, tenant) of ended runs whose files aren't needed any more."""
        rows = await self._database.fetch(*SQL.runs_to_clean(keep=keep))
        return [(row["run"], row["tenant"]) for row in rows]

    async def cleaned(self, run: int) -> None:
        """The files of the run are gone."""
        await self._database.execute(*SQL.files_removed(run=run))

    async def dataset_group(self, tenant: str) -> str | None:
        """The ARN of the dataset group that the tenant is, at the engine."""
        arn = await self._database.fetchval(*SQL.dataset_group(tenant=tenant))
        return None if arn is None else str(arn)

    async def _run(self, number: int) -> Run:
        row = await self._database.fetchrow(*SQL.run_to_do(run=number))
        if row is None:
            raise Permanent(f"run {number} is not known")
        return Run(**{**dict(row), "imports": tuple(row["imports"])})

    async def _start_next(self, connection: Connection, tenant: str) -> None:
        """Give the tenant's queued run its job, when no other one is running."""
        run = await connection.fetchval(*SQL.next_to_start(tenant=tenant))
        if run is not None:
            await jobs.enqueue(connection, "run", str(run), {"run": run}, tenant=tenant)
