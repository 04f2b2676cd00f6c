"""Executions of queries in Postgres, with their results, and the tables that queries made."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from services.analytics.store.sql import SQL
from shared.aws import WireError

if TYPE_CHECKING:
    from shared.postgres import Database

PAGE_ROWS: Final = 1_000
"""Rows of a stored page: as many as one answer of GetQueryResults may have."""


@dataclass(frozen=True, slots=True)
class NewExecution:
    """An execution to add. `request_token` is what a client sends again with the same call."""

    tenant: str
    query: str
    statement_type: str
    substatement: str
    database: str
    catalog: str
    workgroup: str
    output_location: str | None
    request_token: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an execution: its state, a reason if it failed, and its result."""

    state: str
    reason: str | None = None
    is_system_error: bool = False
    seconds: float | None = None
    columns: Sequence[Mapping[str, Any]] = ()
    rows: Sequence[Sequence[str | None]] = ()
    row_count: int = 0
    manifest: str | None = None


Row = Mapping[str, Any]


class QueryExecutions:
    """The executions of all tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: NewExecution) -> tuple[str, bool]:
        """Add an execution; return its id, and False if the request token has one of the same query.

        Raises WireError InvalidRequestException if the token had another query.
        """
        identifier = str(uuid.uuid4())
        added = await self._database.fetchval(
            *SQL.add_query_execution(
                id=identifier,
                tenant=new.tenant,
                query=new.query,
                statement_type=new.statement_type,
                substatement=new.substatement,
                database=new.database,
                catalog=new.catalog,
                workgroup=new.workgroup,
                output_location=new.output_location,
                request_token=new.request_token,
            )
        )
        if added is not None:
            return identifier, True
        row = await self._database.fetchrow(
            *SQL.query_execution_of_token(tenant=new.tenant, request_token=new.request_token)
        )
        if row is None or row["query"] != new.query:
            message = "Idempotent parameters do not match: the ClientRequestToken was used for another query."
            raise WireError("InvalidRequestException", message)
        return str(row["id"]), False

    async def by_id(self, tenants: Sequence[str], ids: Sequence[str]) -> dict[str, Row]:
        """Return executions of these tenants by id; unknown ids are left out.

        Executions whose process died fail here, for good.
        """
        statement = SQL.query_executions_by_id(
            ids=[each for each in ids if _is_uuid(each)], tenants=list(tenants)
        )
        rows = await self._database.fetch(*statement)
        if lost := [row["id"] for row in rows if row["is_lost"]]:
            await self._database.execute(*SQL.fail_lost_query_executions(ids=lost))
            rows = await self._database.fetch(*statement)
        return {str(row["id"]): dict(row) for row in rows}

    async def ids(
        self, tenants: Sequence[str], workgroup: str | None, after: tuple[datetime, str] | None, limit: int
    ) -> list[tuple[str, datetime]]:
        """Return ids and times of executions of tenants, newest first, after a place."""
        after_at, after_id = after or (None, None)
        rows = await self._database.fetch(
            *SQL.query_execution_ids(
                tenants=list(tenants),
                workgroup=workgroup,
                after_at=after_at,
                after_id=after_id,
                limit=limit,
            )
        )
        return [(str(row["id"]), row["submitted_at"]) for row in rows]

    async def begin(self, identifier: str) -> bool:
        """Set a queued execution to running; return False if it was cancelled."""
        return await self._database.fetchval(*SQL.run_query_execution(id=identifier)) is not None

    async def end(self, identifier: str, outcome: Outcome) -> bool:
        """End an execution with its result; return False if it was cancelled, and keep that."""
        async with self._database.transaction() as connection:
            ended = await connection.fetchval(
                *SQL.end_query_execution(
                    id=identifier,
                    state=outcome.state,
                    reason=outcome.reason,
                    is_system_error=outcome.is_system_error,
                    seconds=outcome.seconds,
                    columns=[dict(column) for column in outcome.columns],
                    row_count=outcome.row_count,
                    manifest=outcome.manifest,
                )
            )
            if ended is None:
                return False
            for page, begin in enumerate(range(0, len(outcome.rows), PAGE_ROWS)):
                rows = [list(row) for row in outcome.rows[begin : begin + PAGE_ROWS]]
                await connection.execute(*SQL.add_query_page(id=identifier, page=page, rows=rows))
        return True

    async def rows(self, identifier: str, begin: int, count: int) -> list[list[str | None]]:
        """Return rows of a result from the place `begin` on, at most `count` of them."""
        rows: list[list[str | None]] = []
        page, skipped = divmod(begin, PAGE_ROWS)
        while len(rows) < count:
            stored = await self._database.fetchval(*SQL.query_page(id=identifier, page=page))
            if stored is None:
                break
            rows += stored[skipped:]
            page, skipped = page + 1, 0
        return rows[:count]

    async def cancel(self, tenants: Sequence[str], identifier: str) -> None:
        """Cancel an execution that has not ended."""
        if _is_uuid(identifier):
            await self._database.execute(*SQL.cancel_query_execution(id=identifier, tenants=list(tenants)))

    async def keep_alive(self, ids: Sequence[str]) -> list[str]:
        """Note that executions are alive; return those that have ended elsewhere, by a cancellation."""
        rows = await self._database.fetch(*SQL.keep_query_executions(ids=list(ids)))
        return [str(row["id"]) for row in rows]

    async def put_table(
        self, tenant: str, name: str, place: str, columns: Sequence[Mapping[str, Any]]
    ) -> None:
        """Store a table that a query made."""
        stored = [dict(column) for column in columns]
        await self._database.execute(
            *SQL.put_query_table(tenant=tenant, name=name, place=place, columns=stored)
        )

    async def table(self, tenant: str, name: str) -> Row | None:
        """Return a table that a query made, or None."""
        row = await self._database.fetchrow(*SQL.query_table(tenant=tenant, name=name))
        return None if row is None else dict(row)

    async def drop_table(self, tenant: str, name: str) -> bool:
        """Forget a table that a query made; return whether there was one."""
        return await self._database.execute(*SQL.drop_query_table(tenant=tenant, name=name)) != "DELETE 0"


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
