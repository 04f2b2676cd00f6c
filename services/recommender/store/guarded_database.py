"""Postgres with a time limit per query and a circuit breaker, for requests that cannot wait."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog

if TYPE_CHECKING:
    from shared.postgres import Database

log = structlog.get_logger()


class GuardedDatabase:
    """A database that returns None instead of waiting.

    A query that takes too long goes on in the background, because cancelling it waits for the server. After
    `FAILURE_THRESHOLD` failures in a row the circuit opens: no query is sent for `OPEN_SECONDS`.
    """

    FAILURE_THRESHOLD = 3
    OPEN_SECONDS = 1.0

    def __init__(self, database: Database, timeout_seconds: float) -> None:
        """Give each query `timeout_seconds`."""
        self._database = database
        self._timeout_seconds = timeout_seconds
        self._failures = 0
        self._open_until = 0.0
        self._running: set[asyncio.Task[Any]] = set()

    async def fetchrow(self, text: str, *arguments: Any) -> asyncpg.Record | None:
        """Return the first row; None if there is none, or as `fetch` does."""
        rows = await self.fetch(text, *arguments)
        return rows[0] if rows else None

    async def fetch(self, text: str, *arguments: Any) -> list[asyncpg.Record] | None:
        """Return all rows; None if Postgres is unavailable or too slow, or rejects an argument.

        A rejected argument does not count as a failure.
        """
        if time.monotonic() < self._open_until:
            return None
        task = asyncio.ensure_future(self._database.fetch(text, *arguments))
        self._running.add(task)
        task.add_done_callback(self._ended)
        done, _ = await asyncio.wait({task}, timeout=self._timeout_seconds)
        if done and not task.cancelled() and task.exception() is None:
            self._failures = 0
            return task.result()
        if done and not task.cancelled() and isinstance(task.exception(), asyncpg.DataError):
            return None
        self._failures += 1
        if self._failures >= self.FAILURE_THRESHOLD:
            self._open_until = time.monotonic() + self.OPEN_SECONDS
        if not done:
            task.cancel()
            log.warning("postgres.too_slow", seconds=self._timeout_seconds)
        return None

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        if error := task.exception():
            log.warning("postgres.query_failed", error=repr(error))
