"""Runs and their steps in Postgres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from services.trainer.domain import STEPS, Run
from services.trainer.domain.model_status import Training
from services.trainer.domain.run_options import RunOptions
from services.trainer.store.sql import SQL
from shared import jobs, outbox
from shared.errors import Permanent
from shared.events import BatchCompleted, BatchFailed, derived_id
from shared.events.topics import BATCHES

if TYPE_CHECKING:
    from shared.postgres import Connection, Database


@dataclass(frozen=True, slots=True)
class RequestedRun:
    """The run that fulfils a request; `joined` if it was queued already."""

    run: int
    joined: bool


@dataclass(frozen=True, slots=True)
class StepState:
    """The state of a step; `detail` is what a retry must not do again."""

    name: str
    status: str
    detail: dict[str, Any]


class Runs:
    """The runs of all tenants: each tenant has at most one running and one queued run.

    A run gets its job only when it may start, so that no worker waits for another run.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def request(
        self,
        tenant: str,
        reason: str,
        *,
        import_id: str | None = None,
        event_id: str | None = None,
        options: RunOptions = RunOptions(),  # noqa: B008 - frozen
    ) -> RequestedRun:
        """Queue a run, or join the queued one; an event requests a run only once.

        The request of an import joins the run that waits for it, or has waited for it, on behalf of an
        execution.
        """
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=tenant))
            if event_id is not None:
                run = await connection.fetchval(*SQL.requested_run(event_id=event_id))
                if run is not None:
                    return RequestedRun(run, joined=True)
            run = None
            if import_id is not None:
                run = await connection.fetchval(
                    *SQL.join_import(tenant=tenant, import_id=import_id, reason=reason)
                )
            if run is not None:
                requested = RequestedRun(run, joined=True)
            else:
                requested = await self.request_in(
                    connection, tenant, reason, import_id=import_id, options=options
                )
            if event_id is not None:
                await connection.execute(*SQL.add_request(event_id=event_id, run=requested.run))
            return requested

    async def lock(self, connection: Connection, tenant: str) -> None:
        """Lock the requests, starts and ends of a tenant's runs until the end of the transaction."""
        await connection.execute(*SQL.lock_tenant(tenant=tenant))

    async def request_in(
        self,
        connection: Connection,
        tenant: str,
        reason: str,
        *,
        import_id: str | None = None,
        options: RunOptions = RunOptions(),  # noqa: B008 - frozen
        is_execution: bool = False,
    ) -> RequestedRun:
        """Queue a run, or join the queued one, in a transaction that holds the lock of the tenant.

        A run of another kind is a full one while nothing is served that it could overlay. A new run gets an
        execution `run-<number>`, unless `is_execution`: then the caller adds one.
        """
        kind = options.kind
        if kind != "full" and await connection.fetchrow(*SQL.base(tenant=tenant)) is None:
            kind = "full"
        request = {
            "tenant": tenant,
            "reason": reason,
            "import_id": import_id,
            "kind": kind,
            "options": options.stored(),
        }
        run = await connection.fetchval(*SQL.join_queued(**request))
        if run is not None:
            return RequestedRun(run, joined=True)
        run = await connection.fetchval(*SQL.add_run(**request))
        await connection.execute(*SQL.add_steps(run=run, names=list(STEPS)))
        if not is_execution:
            await connection.execute(
                *SQL.add_execution(
                    tenant=tenant, name=f"run-{run}", machine=None, input="{}", run=run, import_id=None
                )
            )
        await self._start_next(connection, tenant)
        return RequestedRun(run, joined=False)

    async def start_queued(self) -> None:
        """Start queued runs of tenants without a running one, in case `complete` or `fail` did not."""
        for row in await self._database.fetch(*SQL.tenants_with_queued_run()):
            async with self._database.transaction() as connection:
                await connection.execute(*SQL.lock_tenant(tenant=row["tenant"]))
                await self._start_next(connection, row["tenant"])

    async def start(self, number: int) -> Run:
        """Set a queued run to running, if it may start, and return it. Permanent for an unknown run."""
        run = await self._run(number)
        if run.status == "queued":
            async with self._database.transaction() as connection:
                await connection.execute(*SQL.lock_tenant(tenant=run.tenant))
                await connection.execute(*SQL.start(run=number, tenant=run.tenant))
            run = await self._run(number)
        return run

    async def steps(self, run: int) -> dict[str, StepState]:
        """Return the steps by name, in their order."""
        rows = await self._database.fetch(*SQL.steps_of(run=run))
        return {row["name"]: StepState(row["name"], row["status"], row["detail"]) for row in rows}

    async def start_step(self, run: int, name: str) -> datetime:
        """Set a step to running and return when it was first started; Permanent when it has ended."""
        started_at = await self._database.fetchval(*SQL.start_step(run=run, name=name))
        if started_at is None:
            raise Permanent(f"step {name} of run {run} has ended already")
        assert isinstance(started_at, datetime)
        return started_at

    async def report_step(self, run: int, name: str, progress: float, detail: Mapping[str, Any]) -> None:
        """Store the progress of a step (0 to 1), and merge `detail` into it for a retry."""
        await self._database.execute(
            *SQL.report_step(run=run, name=name, progress=progress, detail=dict(detail))
        )

    async def end_step(self, run: int, name: str, status: Literal["done", "skipped"]) -> None:
        """Set a step to done, or to skipped."""
        await self._database.execute(*SQL.end_step(run=run, name=name, status=status))

    async def complete(self, run: Run, batch: BatchCompleted | None) -> None:
        """Complete a run, whose lists are in the object store, and publish its batch; None without lists."""
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=run.tenant))
            is_new = await connection.execute(*SQL.complete(run=run.run)) != "UPDATE 0"
            if is_new and batch is not None:
                await outbox.append(connection, BATCHES, [batch])
            await self._start_next(connection, run.tenant)

    async def fail(self, number: int, error: str, event_id: str, now: datetime) -> Run:
        """Fail a run with a reason, publish that, and return the run."""
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
        return run

    async def cancel(self, tenant: str, number: int, reason: str) -> str | None:
        """Cancel a run of a tenant, and return its status after that; None if the tenant has no such run."""
        async with self._database.transaction() as connection:
            await self.lock(connection, tenant)
            await self.cancel_in(connection, tenant, number, reason)
            status = await connection.fetchval(*SQL.status(run=number, tenant=tenant))
        return None if status is None else str(status)

    async def time_out(self, run: Run, reason: str) -> None:
        """Stop a run that has exceeded its budget, and publish that."""
        async with self._database.transaction() as connection:
            await self.lock(connection, run.tenant)
            await self.cancel_in(connection, run.tenant, run.run, reason, status="timed_out")

    async def cancel_in(
        self,
        connection: Connection,
        tenant: str,
        number: int,
        reason: str,
        *,
        status: Literal["cancelled", "timed_out"] = "cancelled",
    ) -> None:
        """Cancel a queued or running run in a transaction that holds the lock of the tenant; publish that.

        The worker that does it stops within a second (`RunJob`); the tenant's next run starts.
        """
        statement = SQL.cancel(run=number, tenant=tenant, error=reason, status=status)
        if await connection.execute(*statement) == "UPDATE 0":
            return
        step = await connection.fetchval(*SQL.cancel_step(run=number))
        cancelled = BatchFailed(
            event_id=derived_id("batch", number, "cancelled"),
            tenant=tenant,
            occurred_at=datetime.now(UTC),
            run=number,
            step=step or "start",
            reason=f"The run was {'cancelled' if status == 'cancelled' else 'stopped'}: {reason}",
        )
        await outbox.append(connection, BATCHES, [cancelled])
        await self._start_next(connection, tenant)

    async def is_stopped(self, number: int) -> bool:
        """Return whether a run was cancelled, or stopped at the end of its budget."""
        return bool(await self._database.fetchval(*SQL.is_stopped(run=number)))

    async def base(self, tenant: str) -> tuple[int, dict[str, Any]] | None:
        """Return the generation that serves the users of a tenant, and its models by recipe.

        None if there is none, or a full run of this installation has not made it.
        """
        row = await self._database.fetchrow(*SQL.base(tenant=tenant))
        return None if row is None else (row["run"], row["models"])

    async def last_import(self, run: Run, base: int) -> datetime:
        """Return the time of the newest snapshot since `base` whose interactions were imported."""
        at = await self._database.fetchval(*SQL.last_import(tenant=run.tenant, base=base, run=run.run))
        assert isinstance(at, datetime)
        return at

    async def newest_training(self, tenant: str) -> Training | None:
        """Return the models and lists of the newest completed full run of a tenant; None before the first."""
        row = await self._database.fetchrow(*SQL.newest_training(tenant=tenant))
        if row is None:
            return None
        return Training(row["run"], row["trained_at"], row["models"] or {}, row["lists"] or (), row["items"])

    async def list_newest(
        self, tenant: str, *, run: int | None = None, limit: int = 50
    ) -> list[dict[str, Any]]:
        """Return the newest runs with their steps, or one of them."""
        rows = await self._database.fetch(*SQL.runs(tenant=tenant, run=run, limit=limit))
        return [dict(row) for row in rows]

    async def with_old_files(self, keep: int) -> list[tuple[int, str]]:
        """Return (run, tenant) of ended runs, except for the newest `keep`, that have files."""
        rows = await self._database.fetch(*SQL.runs_with_old_files(keep=keep))
        return [(row["run"], row["tenant"]) for row in rows]

    async def mark_files_removed(self, run: int) -> None:
        """Record that the files of a run were deleted."""
        await self._database.execute(*SQL.files_removed(run=run))

    async def dataset_group(self, tenant: str) -> str | None:
        """Return the ARN of the dataset group of a tenant at the engine; None for an unknown tenant."""
        arn = await self._database.fetchval(*SQL.dataset_group(tenant=tenant))
        return None if arn is None else str(arn)

    async def _run(self, number: int) -> Run:
        row = await self._database.fetchrow(*SQL.run_to_start(run=number))
        if row is None:
            raise Permanent(f"run {number} is unknown")
        return Run(**{**dict(row), "imports": tuple(row["imports"])})

    async def _start_next(self, connection: Connection, tenant: str) -> None:
        """Queue the job of the tenant's queued run, if no run is running."""
        run = await connection.fetchval(*SQL.next_to_start(tenant=tenant))
        if run is not None:
            await jobs.enqueue(connection, "run", str(run), {"run": run}, tenant=tenant)
