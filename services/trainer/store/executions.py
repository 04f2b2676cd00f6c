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
    """An execution to start; `machine` is the caller's name of it, `reason` that of its run."""

    tenant: str
    name: str
    machine: str
    input: str
    reason: str


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

    async def start(self, request: ExecutionRequest) -> Execution:
        """Request a run for an execution, and return it; the same request again returns the running one.

        Raises WireError ExecutionAlreadyExists if the name is taken.
        """
        async with self._database.transaction() as connection:
            await self._runs.lock(connection, request.tenant)
            existing = await _find(connection, [request.tenant], request.name)
            if existing is not None:
                if existing.status == "RUNNING" and existing.input == request.input:
                    return existing
                if existing.stopped_at is None or existing.stopped_at > datetime.now(UTC) - NAME_KEPT:
                    message = f"Execution Already Exists: '{request.name}'"
                    raise WireError("ExecutionAlreadyExists", message)
                await connection.execute(*SQL.drop_execution(id=existing.id))
            requested = await self._runs.request_in(
                connection, request.tenant, request.reason, is_execution=True
            )
            await connection.execute(
                *SQL.add_execution(
                    tenant=request.tenant,
                    name=request.name,
                    machine=request.machine,
                    input=request.input,
                    run=requested.run,
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


async def _find(connection: Connection | Database, tenants: Sequence[str], name: str) -> Execution | None:
    row = await connection.fetchrow(*SQL.execution(tenants=list(tenants), name=name))
    return None if row is None else _execution(row)


def _execution(row: Mapping[str, Any]) -> Execution:
    return Execution(**dict(row))
