"""Executions in Postgres, each of which follows a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from services.trainer.domain.executions import NAME_KEPT, Execution
from services.trainer.store.sql import SQL
from shared.aws import WireError

if TYPE_CHECKING:
    from services.trainer.store.runs import Runs
    from shared.postgres import Connection, Database


@dataclass(frozen=True, slots=True)
class ExecutionRequest:
    """An execution to start; `machine` is the caller's name of it, `reason` that of its run.

    The run waits until the import `import_id` has ended.
    """

    tenant: str
    name: str
    machine: str
    input: str
    reason: str
    import_id: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutionCursor:
    """The place of an execution in the list: running ones come first, then the newest of each."""

    is_running: bool
    at: datetime
    id: int


class Executions:
    """The executions of all tenants."""

    def __init__(self, database: Database, runs: Runs) -> None:
        self._database = database
        self._runs = runs

    async def running(self, request: ExecutionRequest) -> Execution | None:
        """Return the running execution of the same request, or None if there is none and the name is free.

        Raises WireError ExecutionAlreadyExists if the name is taken.
        """
        return _running(await _find(self._database, [request.tenant], request.name), request)

    async def start(self, request: ExecutionRequest) -> Execution:
        """Request a run for an execution, and return it; the same request again returns the running one.

        Raises WireError ExecutionAlreadyExists if the name is taken.
        """
        async with self._database.transaction() as connection:
            await self._runs.lock(connection, request.tenant)
            existing = await _find(connection, [request.tenant], request.name)
            if (running := _running(existing, request)) is not None:
                return running
            if existing is not None:
                await connection.execute(*SQL.drop_execution(id=existing.id))
            requested = await self._runs.request_in(
                connection, request.tenant, request.reason, import_id=request.import_id, is_execution=True
            )
            await connection.execute(
                *SQL.add_execution(
                    tenant=request.tenant,
                    name=request.name,
                    machine=request.machine,
                    input=request.input,
                    run=requested.run,
                    import_id=request.import_id,
                )
            )
            started = await _find(connection, [request.tenant], request.name)
        assert started is not None
        return started

    async def find(self, tenants: Sequence[str], name: str) -> Execution | None:
        """Return the execution of this name of the first of these tenants that has one."""
        return await _find(self._database, tenants, name)

    async def list_newest(
        self, tenant: str, status: str | None, after: ExecutionCursor | None, limit: int
    ) -> list[Execution]:
        """Return executions of a tenant after a place in the list, of one status if given."""
        rows = await self._database.fetch(
            *SQL.executions(
                tenant=tenant,
                status=status,
                after_running=after.is_running if after else None,
                after_at=after.at if after else None,
                after_id=after.id if after else None,
                limit=limit,
            )
        )
        return [_execution(row) for row in rows]

    async def steps(self, run: int) -> list[Mapping[str, Any]]:
        """Return the steps of a run, in their order."""
        return [dict(row) for row in await self._database.fetch(*SQL.execution_steps(run=run))]

    async def imports(self, run: int) -> list[str]:
        """Return the imports of the executions of a run that were not stopped and have not failed."""
        return [row["import_id"] for row in await self._database.fetch(*SQL.imports_of_executions(run=run))]

    async def fail_import(self, run: int, import_id: str, cause: str) -> None:
        """Fail the executions of a run with an import that has failed."""
        await self._database.execute(*SQL.fail_executions(run=run, import_id=import_id, cause=cause))

    async def failed_import(self, run: int) -> str | None:
        """Return why the import of an execution failed, if nothing else asks for the run; else None."""
        cause = await self._database.fetchval(*SQL.failed_import(run=run))
        return None if cause is None else str(cause)

    async def stop(self, execution: Execution, error: str | None, cause: str | None) -> datetime:
        """Stop an execution and return when it was; cancel its run unless others wait for that, too."""
        async with self._database.transaction() as connection:
            await self._runs.lock(connection, execution.tenant)
            current = await _find(connection, [execution.tenant], execution.name)
            assert current is not None
            if current.stopped_at is not None:
                return current.stopped_at
            is_shared = await connection.fetchval(*SQL.others_running(run=current.run, id=current.id))
            stopped_at = await connection.fetchval(
                *SQL.stop_execution(id=current.id, error=error, cause=cause)
            )
            if not is_shared:
                reason = cause or f"the execution {execution.name} was stopped"
                await self._runs.cancel_in(connection, execution.tenant, current.run, reason)
        assert isinstance(stopped_at, datetime)
        return stopped_at


def _running(existing: Execution | None, request: ExecutionRequest) -> Execution | None:
    """Return the execution of this name if it is running and has the same input; None if the name is free.

    Raises WireError ExecutionAlreadyExists if the name is taken.
    """
    if existing is None:
        return None
    if existing.status == "RUNNING" and existing.input == request.input:
        return existing
    if existing.stopped_at is None or existing.stopped_at > datetime.now(UTC) - NAME_KEPT:
        raise WireError("ExecutionAlreadyExists", f"Execution Already Exists: '{request.name}'")
    return None


async def _find(connection: Connection | Database, tenants: Sequence[str], name: str) -> Execution | None:
    row = await connection.fetchrow(*SQL.execution(tenants=list(tenants), name=name))
    return None if row is None else _execution(row)


def _execution(row: Mapping[str, Any]) -> Execution:
    return Execution(**dict(row))
