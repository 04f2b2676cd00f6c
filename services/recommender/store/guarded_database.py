"""Postgres with a time limit per query and a circuit breaker, for requests that cannot wait."""

from __future__ import annotations

import asyncio
import time
from asyncio import FIRST_COMPLETED
from typing import TYPE_CHECKING, Any, Final, cast

import asyncpg
import structlog

from services.recommender.store import SQL
from shared.periodic_task import PeriodicTask

if TYPE_CHECKING:
    from shared.postgres import Database

QUERIES: Final = 6
"""Queries at the same time. A query of a list takes a millisecond, or ten on a busy machine (measured)."""

WARM_CONNECTIONS: Final = 3
"""Connections that are kept open. Opening one takes tens of milliseconds of the event loop and of Postgres,
so an outage of Redis must not open many at once. Arbitrary, half of the queries."""

MAX_WAITING: Final = 32
"""Queries that run or wait for a connection; a further one gets no answer. Arbitrary."""

WARM_SECONDS: Final = 20.0
"""Interval at which these connections are used; the pool closes one that is idle for a minute."""

PROBE_SECONDS: Final = 0.25
"""Pause between probes while the circuit is open; arbitrary."""

log = structlog.get_logger()


class GuardedDatabase:
    """A database that returns None instead of waiting. As a part of a process, it keeps connections open.

    A query that takes too long goes on in the background, because cancelling it waits for the server, or
    closes a connection that is being opened. After `FAILURE_THRESHOLD` failures in a row the circuit opens:
    no query is sent until a probe was answered in time. Probes run in the background, so no request waits
    for Postgres while it is away.
    """

    FAILURE_THRESHOLD = 3

    name = "guarded-postgres"

    def __init__(self, database: Database, timeout_seconds: float) -> None:
        """Give each query `timeout_seconds`; the statements of `database` should have a limit as well."""
        self._database = database
        self._timeout_seconds = timeout_seconds
        self._failures = 0
        self._turns = asyncio.Semaphore(QUERIES)
        self._running: set[asyncio.Task[Any]] = set()
        self._begun: dict[asyncio.Task[Any], float] = {}
        """The time at which each query was sent; those that wait for a turn are not there."""
        self._opened: asyncio.Future[None] | None = None
        """Completed when the circuit opens, for the queries that wait then."""
        self._prober: asyncio.Task[None] | None = None
        self._warmer = PeriodicTask("warm-postgres", self._warm_up, seconds=WARM_SECONDS)

    async def start(self) -> None:
        """Open the connections in the background; Postgres need not be reachable."""
        await self._warmer.start()

    async def stop(self) -> None:
        """End probes and queries."""
        await self._warmer.stop()
        tasks = {*self._running} if self._prober is None else {*self._running, self._prober}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)

    def alive(self) -> str | None:
        """Return why connections are no longer kept open, which only a defect can cause; else None."""
        return self._warmer.alive()

    def ready(self) -> str | None:
        """Return None: requests go on without Postgres."""
        return None

    async def fetchrow(self, text: str, *arguments: Any) -> asyncpg.Record | None:
        """Return the first row; None if there is none, or as `fetch` does."""
        rows = await self.fetch(text, *arguments)
        return rows[0] if rows else None

    async def fetch(self, text: str, *arguments: Any) -> list[asyncpg.Record] | None:
        """Return all rows; None if Postgres is unavailable or too slow, or rejects an argument.

        A rejected argument does not count as a failure.
        """
        if self._prober is not None or len(self._running) >= MAX_WAITING:
            return None
        if self._opened is None:
            self._opened = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(self._query(text, arguments))
        self._running.add(task)
        task.add_done_callback(self._ended)
        events: set[asyncio.Future[Any]] = {task, self._opened}
        await asyncio.wait(events, timeout=self._timeout_seconds, return_when=FIRST_COMPLETED)
        if not task.done():
            self._give_up(task)
            return None
        if task.cancelled():
            return None
        if (error := task.exception()) is not None:
            if not isinstance(error, asyncpg.DataError):
                self._fail()
            return None
        self._failures = 0
        return task.result()

    def _give_up(self, task: asyncio.Task[Any]) -> None:
        """Count a query that took most of its time; one that waited for the others says nothing."""
        sent_at = self._begun.get(task)
        if sent_at is None:
            task.cancel()
        elif self._prober is None and time.monotonic() - sent_at >= self._timeout_seconds / 2:
            log.warning("postgres.too_slow", seconds=self._timeout_seconds)
            self._fail()

    def _fail(self) -> None:
        """Count a failure; after too many, open the circuit and release the queries that wait."""
        self._failures += 1
        if self._failures < self.FAILURE_THRESHOLD or self._prober is not None:
            return
        log.warning("postgres.not_called")
        self._prober = asyncio.create_task(self._probe(), name="postgres-prober")
        if self._opened is not None:
            self._opened.set_result(None)
            self._opened = None

    async def _query(self, text: str, arguments: tuple[Any, ...]) -> list[asyncpg.Record]:
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        async with self._turns:
            self._begun[task] = time.monotonic()
            try:
                return await self._database.fetch(text, *arguments)
            finally:
                del self._begun[task]

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        if error := task.exception():
            log.warning("postgres.query_failed", error=repr(error))

    async def _probe(self) -> None:
        """Close the circuit as soon as Postgres answers in time."""
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            began = time.monotonic()
            try:
                await self._database.fetch(*SQL.ping())
            except Exception as error:  # noqa: BLE001 - whatever it is, Postgres does not answer
                log.debug("postgres.probe_failed", error=repr(error))
                continue
            # The first answer may come over a new connection; the next probe finds it open.
            if time.monotonic() - began <= self._timeout_seconds:
                break
        self._failures = 0
        self._prober = None
        log.warning("postgres.called_again")

    async def _warm_up(self) -> None:
        """Use several connections at the same time."""
        await asyncio.gather(*(self._database.fetch(*SQL.ping()) for _ in range(WARM_CONNECTIONS)))
