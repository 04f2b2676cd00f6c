"""Runs the queries of Athena's clients after their requests were answered, and stores what became of them."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

import structlog

from services.analytics.domain.athena_statements import Statement, refused
from services.analytics.domain.athena_values import csv_file, glue_type, text_file
from services.analytics.domain.sql import VIEWS
from services.analytics.store.query_executions import Outcome, QueryExecutions
from shared.errors import ApiError, Transient
from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from services.analytics.settings import Settings
    from services.analytics.store.queries import QueryRunner
    from services.analytics.store.result_files import ResultFiles

KEEP_SECONDS: Final = 5.0
"""Interval of noting that executions are alive, and of looking for cancelled ones; a reader waits for six."""

_SYSTEM_ERROR: Final = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Task:
    """An execution to run: the files of its result go to `location`, if the caller has a key pair."""

    id: str
    tenant: str
    databases: Sequence[str]
    statement: Statement
    files: ResultFiles | None
    location: str | None


class QueryExecutor:
    """Runs executions in this process; they end with it, and readers then see them as failed."""

    name = "queries"

    def __init__(self, runner: QueryRunner, executions: QueryExecutions, settings: Settings) -> None:
        self._runner = runner
        self._executions = executions
        self._rows = settings.sql_result_rows
        self._tasks: dict[str, tuple[Task, asyncio.Task[None]]] = {}
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start to keep executions alive."""
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """End all executions."""
        running = [work for _, work in self._tasks.values()]
        for task in (*running, self._keeping):
            if task is not None:
                task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def alive(self) -> str | None:
        """Return a reason if executions are no longer kept alive."""
        return "executions are not kept alive" if self._keeping and self._keeping.done() else None

    def ready(self) -> str | None:
        """Return None: queries need nothing that the process waits for."""
        return None

    @property
    def is_busy(self) -> bool:
        """Return whether no further query may wait."""
        return self._runner.is_busy

    def submit(self, task: Task) -> None:
        """Run an execution as soon as there is a place."""
        work = asyncio.create_task(self._run(task))
        self._tasks[task.id] = task, work
        work.add_done_callback(lambda _: self._tasks.pop(task.id, None))

    def cancel(self, identifier: str) -> None:
        """End an execution if this process runs it."""
        running = self._tasks.get(identifier)
        if running is not None:
            self._runner.cancel(running[0].tenant, identifier)
            running[1].cancel()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            if not self._tasks:
                continue
            try:
                for identifier in await self._executions.keep_alive(list(self._tasks)):
                    self.cancel(identifier)
            except (Transient, *UNAVAILABLE) as error:
                log.warning("analytics.executions_not_kept", error=repr(error))

    async def _run(self, task: Task) -> None:
        started = time.perf_counter()
        try:
            if not await self._executions.begin(task.id):
                return
            outcome = await self._outcome(task, started)
        except asyncio.CancelledError:
            with suppress(Transient, *UNAVAILABLE):
                reason = "The service was stopped: send the query again."
                await self._executions.end(task.id, Outcome("FAILED", reason, is_system_error=True))
            raise
        except ApiError as error:
            is_system = error.status >= _SYSTEM_ERROR
            seconds = time.perf_counter() - started
            outcome = Outcome("FAILED", error.detail, is_system_error=is_system, seconds=seconds)
        except Exception:
            log.exception("analytics.execution_failed", id=task.id)
            outcome = Outcome("FAILED", "An unexpected error; it is in the log.", is_system_error=True)
        await self._executions.end(task.id, outcome)

    async def _outcome(self, task: Task, started: float) -> Outcome:
        match task.statement.kind:
            case "query" | "explain":
                return await self._query(task)
            case "files":
                return await self._files(task)
            case "catalogue":
                columns, rows = await self._catalogue(task)
            case _:
                assert task.statement.table is not None
                await self._executions.drop_table(task.tenant, task.statement.table)
                columns, rows = [], []
        if task.files is not None and task.location is not None:
            await task.files.put(f"{task.location}{task.id}.txt", text_file(rows))
        seconds = time.perf_counter() - started
        return Outcome("SUCCEEDED", seconds=seconds, columns=columns, rows=rows, row_count=len(rows))

    async def _query(self, task: Task) -> Outcome:
        query = task.statement.query
        assert query is not None
        answer = await self._runner.run(task.tenant, query, self._rows, task.id, "texts")
        self._check_size(answer)
        rows: list[list[str | None]] = answer["rows"]
        columns = answer["columns"]
        if task.statement.kind == "explain":
            columns = [{"name": "Query Plan", "type": "VARCHAR"}]
            rows = [[line] for row in rows for line in (row[-1] or "").splitlines()]
        if task.files is not None and task.location is not None:
            is_query = task.statement.kind == "query"
            names = [column["name"] for column in columns]
            content = csv_file(names, rows) if is_query else text_file(rows)
            suffix = "csv" if is_query else "txt"
            await task.files.put(f"{task.location}{task.id}.{suffix}", content)
        return Outcome(
            "SUCCEEDED", seconds=answer["seconds"], columns=columns, rows=rows, row_count=len(rows)
        )

    async def _files(self, task: Task) -> Outcome:
        """Write the rows of a query as a Parquet file, and a manifest that names it."""
        statement, query = task.statement, task.statement.query
        assert query is not None
        assert task.files is not None
        assert task.location is not None
        answer = await self._runner.run(task.tenant, query, self._rows, task.id, "parquet")
        self._check_size(answer)
        place = (statement.place or f"{task.location}tables/{task.id}").rstrip("/")
        file = f"{place}/{task.id}.parquet"
        manifest = f"{task.location}tables/{task.id}-manifest.csv"
        await task.files.put(file, base64.b64decode(answer["parquet"]))
        await task.files.put(manifest, f"{file}\n".encode())
        if statement.table is not None:
            await self._executions.put_table(task.tenant, statement.table, place, answer["columns"])
        return Outcome(
            "SUCCEEDED",
            seconds=answer["seconds"],
            columns=answer["columns"],
            row_count=answer["rows"],
            manifest=manifest,
        )

    def _check_size(self, answer: Mapping[str, Any]) -> None:
        """Raise ApiError 400 for a result that would have to be cut."""
        if answer["truncated"]:
            raise refused(
                f"the result has more than {self._rows:,} rows (ANALYTICS_SQL_RESULT_ROWS); add a LIMIT, or "
                "read the lake's files with Spark"
            )

    async def _catalogue(self, task: Task) -> tuple[list[dict[str, str]], list[list[str | None]]]:
        """Return the columns and rows of a question about the catalogue."""
        kind, *names = task.statement.catalogue
        columns = await self._runner.columns()
        listed = [[each["name"], glue_type(each["type"])] for each in columns.get("".join(names), [])]
        match kind:
            case "databases":
                return _texts("database_name"), [[name] for name in task.databases]
            case "tables":
                pattern = names[0].replace("%", "*").lower()
                return _texts("tab_name"), [[view] for view in VIEWS if fnmatchcase(view, pattern)]
            case "columns":
                return _texts("field"), [[name] for name, _ in listed]
            case "describe":
                return _texts("col_name", "data_type", "comment"), [[*each, ""] for each in listed]
            case "partitions":
                return _texts("partition"), []
        lines = ",\n".join(f"  `{name}` {kind}" for name, kind in listed)
        text = f"CREATE EXTERNAL TABLE `{names[0]}`(\n{lines})"
        return _texts("createtab_stmt"), [[line] for line in text.splitlines()]


def _texts(*names: str) -> list[dict[str, str]]:
    return [{"name": name, "type": "VARCHAR"} for name in names]
