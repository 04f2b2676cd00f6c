"""Run checked queries, each in a process of its own, over the lake and the catalogue of one tenant."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson

from services.analytics.domain.sql import CATALOGUE_VIEWS, VIEWS, Query
from services.analytics.domain.views import SOURCES
from services.analytics.metrics import QUERIES
from services.analytics.store.lake import storage_options
from services.analytics.store.spill_folders import remove_left_folders, spill_folder
from services.analytics.store.sql import SQL
from shared.errors import ApiError, unavailable

if TYPE_CHECKING:
    from services.analytics.settings import Settings
    from services.analytics.store.lake import Lake
    from shared.postgres import Database

_ROOT: Final = Path(__file__).parents[3]
_START_SECONDS: Final = 30.0
"""Time that a process may take beside its query: to start, to open tables, to write the answer. Arbitrary."""
_STATES: Final = ("succeeded", "refused", "cancelled")
_SUCCEEDED, _REFUSED, _CANCELLED = (QUERIES.labels(state) for state in _STATES)
_UNREADABLE: Final = frozenset(("IOException", "FileNotFoundError", "OSError"))
_PLACES_OF_WAITING: Final = 8
"""Queries that may wait for each that runs; arbitrary."""


Form = Literal["json", "texts", "parquet"]
"""Forms of rows: values for JSON, texts as Athena writes cells, a Parquet file."""


class QueryRunner:
    """Runs queries, a few at a time; others wait."""

    def __init__(self, database: Database, lake: Lake, settings: Settings) -> None:
        """Read the catalogue with `database`, whose time limit must allow for that."""
        self._database = database
        self._lake = lake
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.sql_concurrency)
        self._waiting = 0
        self._columns: dict[str, list[dict[str, str]]] | None = None
        self._running: dict[tuple[str, str], asyncio.subprocess.Process] = {}
        remove_left_folders()

    async def run(
        self, tenant: str, query: Query, rows: int, query_id: str, form: Form = "json"
    ) -> dict[str, Any]:
        """Return columns, at most `rows` rows, whether there are more, and the seconds of the query.

        In the form `parquet` the rows are a file, in base64, or nothing if there are more.

        Raises ApiError 400 for a query that fails or needs too much, 409 for one that was cancelled, 429 if
        too many wait, and 503 if a store is not reachable.
        """
        if self.is_busy:
            raise ApiError(429, "Busy", "Too many queries wait; send this one again later.", retry_after=5)
        self._waiting += 1
        try:
            async with self._slots:
                task = await self._task(tenant, query, rows) | {"form": form}
                answer = await self._answer((tenant, query_id), task)
                if answer.get("kind") in _UNREADABLE:  # an erasure has replaced the file
                    answer = await self._answer((tenant, query_id), task)
        finally:
            self._waiting -= 1
        if "error" in answer:
            _REFUSED.inc()
            raise ApiError(400, "InvalidQuery", str(answer["error"]))
        _SUCCEEDED.inc()
        return answer

    @property
    def is_busy(self) -> bool:
        """Return whether no further query may wait."""
        return self._waiting >= self._settings.sql_concurrency * _PLACES_OF_WAITING

    async def columns(self) -> dict[str, list[dict[str, str]]]:
        """Return the columns of each view, with DuckDB's names of their types."""
        if self._columns is None:
            empty = Query("", frozenset(VIEWS))
            task = {"form": "columns", "tables": {}, "catalogue": {"items": [], "users": []}}
            answer = await self._answer(("", ""), self._limits(empty, 0) | task)
            if "views" not in answer:
                raise unavailable("the process of queries")
            self._columns = answer["views"]
        return self._columns

    def cancel(self, tenant: str, query_id: str) -> bool:
        """End a running query; return whether there was one."""
        process = self._running.get((tenant, query_id))
        if process is None:
            return False
        with suppress(ProcessLookupError):
            process.kill()
        return True

    async def _task(self, tenant: str, query: Query, rows: int) -> dict[str, Any]:
        settings = self._settings
        sources = {SOURCES[view] for view in query.views}
        catalogue: dict[str, list[list[Any]]] = {}
        limit = settings.sql_catalogue_rows
        statements = {"items": SQL.catalogue_items, "users": SQL.catalogue_users}
        for name in sorted(sources & set(CATALOGUE_VIEWS)):
            fetched = await self._database.fetch(*statements[name](tenant=tenant, rows=limit + 1))
            if len(fetched) > limit:
                detail = f"{name} has more than {limit:,} rows (ANALYTICS_SQL_CATALOGUE_ROWS)."
                raise ApiError(400, "InvalidQuery", detail)
            catalogue[name] = [list(row) for row in fetched]
        tables = {name: self._lake.uri(tenant, name) for name in sorted(sources - set(CATALOGUE_VIEWS))}
        return self._limits(query, rows) | {"tables": tables, "catalogue": catalogue}

    def _limits(self, query: Query, rows: int) -> dict[str, Any]:
        return {
            "sql": query.text,
            "views": sorted(query.views),
            "options": storage_options(self._settings.s3),
            "rows": rows,
            "seconds": self._settings.sql_seconds,
            "memory_bytes": self._settings.sql_memory_megabytes * 2**20,
            "disk_bytes": self._settings.sql_disk_megabytes * 2**20,
        }

    async def _answer(self, key: tuple[str, str], task: dict[str, Any]) -> dict[str, Any]:
        with spill_folder() as folder:
            return await self._answer_of_process(key, task | {"folder": folder})

    async def _answer_of_process(self, key: tuple[str, str], task: dict[str, Any]) -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.analytics.computations.query_process",
            cwd=_ROOT,
            env={"PYTHONPATH": str(_ROOT), "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self._running[key] = process
        try:
            async with asyncio.timeout(self._settings.sql_seconds + _START_SECONDS):
                output, errors = await process.communicate(orjson.dumps(task))
        except TimeoutError:
            return {
                "error": f"the query took longer than {self._settings.sql_seconds:g} s",
                "kind": "Timeout",
            }
        finally:
            self._running.pop(key, None)
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return _parsed(process.returncode, output, errors)


def _parsed(returncode: int | None, output: bytes, errors: bytes) -> dict[str, Any]:
    """Return the answer of a process that has ended; raises ApiError if it has written none."""
    if returncode == 0 and output:
        answer: dict[str, Any] = orjson.loads(output)
        return answer
    if returncode == -9:
        _CANCELLED.inc()
        raise ApiError(409, "Cancelled", "The query was cancelled.")
    text = errors.decode(errors="replace")
    if "DeltaError" in text or "ConnectionError" in text or "OSError" in text:
        raise unavailable("the event lake")
    if returncode in {-24, -6, -11} or "MemoryError" in text:
        return {"error": "the query needs more time or memory than it may use", "kind": "Limit"}
    raise ApiError(500, "QueryFailed", "The process of the query ended unexpectedly; send it again.")
