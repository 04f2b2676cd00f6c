"""Work that takes longer than a request: a row with a lease and a heartbeat, done by worker processes.

A worker that dies leaves its lease to run out, and another worker (or the same one, restarted) takes the
job over; so a handler must find its own earlier work and go on from there. The table is in `table.sql`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from shared.errors import Permanent, Transient
from shared.postgres import UNAVAILABLE, Database, statements

if TYPE_CHECKING:
    import asyncpg

    from shared.postgres import Connection

SQL = statements(Path(__file__).with_name("queries.sql"))
LEASE_SECONDS = 15.0
HEARTBEAT_SECONDS = 4.0
POLL_SECONDS = 0.5
MAX_ATTEMPTS = 8
MAX_BACKOFF_SECONDS = 60.0

log = structlog.get_logger()


class LeaseLost(Exception):
    """Another worker has this job now: stop at once and write nothing more."""


@dataclass
class Job:
    """One claimed job. `attempt` counts from 1; more than 1 means that somebody began before."""

    id: int
    kind: str
    key: str
    payload: dict[str, Any]
    attempt: int
    progress: dict[str, Any]
    owner: str
    database: Database = field(repr=False)

    async def report(self, **progress: Any) -> None:
        """Merge `progress` into the row, where people and a later attempt can see it."""
        self.progress |= progress
        tag = await self.database.execute(*SQL.report(id=self.id, owner=self.owner, progress=self.progress))
        if tag == "UPDATE 0":
            raise LeaseLost(self.key)


Handler = Callable[[Job], Awaitable[None]]


async def enqueue(
    connection: Connection | Database, kind: str, key: str, payload: dict[str, Any]
) -> int | None:
    """Add a job; None when a job of this kind and key exists already, whatever became of it."""
    identifier = await connection.fetchval(*SQL.enqueue(kind=kind, key=key, payload=payload))
    return None if identifier is None else int(identifier)


class JobWorker:
    """Claims jobs and runs their handlers, `concurrency` at a time, until the process stops.

    A handler that raises `Transient` (or finds Postgres away) is tried again with back-off, at most eight
    times; any other error fails the job, and `failed(job, sentence)` is told so that it can say it on.
    """

    name = "jobs"

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, Handler],
        *,
        failed: Callable[[Job, str], Awaitable[None]] | None = None,
        concurrency: int = 1,
    ) -> None:
        """Serve the kinds of job in `handlers`."""
        self._database = database
        self._handlers = dict(handlers)
        self._failed = failed
        self._concurrency = concurrency
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Start claiming; Postgres may come later."""
        self._tasks = [
            asyncio.create_task(self._loop(f"{socket.gethostname()}:{os.getpid()}:{slot}"))
            for slot in range(self._concurrency)
        ]

    async def stop(self) -> None:
        """Give the running handlers up; their jobs go back to the queue at once."""
        self._stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def alive(self) -> str | None:
        """Dead when a loop ended, which none does by itself."""
        dead = [task for task in self._tasks if task.done()]
        return "a job loop has ended" if dead and not self._stopping.is_set() else None

    def ready(self) -> str | None:
        """Ready once the loops run."""
        return None if self._tasks else "the job loops are not started"

    async def _loop(self, owner: str) -> None:
        while True:
            try:
                row = await self._database.fetchrow(
                    *SQL.claim(kinds=list(self._handlers), owner=owner, lease=LEASE_SECONDS)
                )
                if row is not None:
                    await self._run(_job(row, owner, self._database))
                    continue
            except UNAVAILABLE as error:
                log.warning("jobs.postgres_away", error=repr(error))
            await asyncio.sleep(POLL_SECONDS)

    async def _run(self, job: Job) -> None:
        if job.attempt > MAX_ATTEMPTS:
            # Each attempt ended without a word: the handler kills its process, so don't try for ever.
            await self._fail(job, Permanent(f"the worker died {MAX_ATTEMPTS} times on this job"))
            return
        log.info("jobs.started", kind=job.kind, key=job.key, attempt=job.attempt)
        work = asyncio.create_task(_checked(self._handlers[job.kind](job)))
        heart = asyncio.create_task(self._beat(job, work))
        try:
            await work
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            if self._stopping.is_set():
                with contextlib.suppress(*UNAVAILABLE):
                    await self._database.execute(*SQL.release(id=job.id, owner=job.owner))
                raise
            log.warning("jobs.lease_lost", kind=job.kind, key=job.key)
        except LeaseLost:
            log.warning("jobs.lease_lost", kind=job.kind, key=job.key)
        except (Transient, *UNAVAILABLE) as error:
            await self._retry(job, error)
        except Exception as error:  # noqa: BLE001 - any other error fails this job, not the worker
            await self._fail(job, error)
        else:
            await self._database.execute(*SQL.finish(id=job.id, owner=job.owner))
            log.info("jobs.done", kind=job.kind, key=job.key)
        finally:
            heart.cancel()

    async def _beat(self, job: Job, work: asyncio.Task[None]) -> None:
        """Renew the lease; when it is lost, or can't be renewed in time, stop the work."""
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    tag = await self._database.execute(
                        *SQL.heartbeat(id=job.id, owner=job.owner, lease=LEASE_SECONDS)
                    )
            except UNAVAILABLE:
                if loop.time() - renewed > LEASE_SECONDS - HEARTBEAT_SECONDS:
                    work.cancel()
                continue
            if tag == "UPDATE 0":
                work.cancel()
                return
            renewed = loop.time()

    async def _retry(self, job: Job, error: BaseException) -> None:
        if job.attempt >= MAX_ATTEMPTS:
            await self._fail(job, error)
            return
        delay = min(MAX_BACKOFF_SECONDS, 0.5 * 2**job.attempt)
        log.warning("jobs.retry", kind=job.kind, key=job.key, seconds=delay, error=str(error))
        await self._database.execute(
            *SQL.retry(id=job.id, owner=job.owner, delay=delay, error=_sentence(error))
        )

    async def _fail(self, job: Job, error: BaseException) -> None:
        sentence = _sentence(error)
        unexpected = not isinstance(error, (Permanent, Transient))
        log.error(
            "jobs.failed",
            kind=job.kind,
            key=job.key,
            error=sentence,
            exc_info=error if unexpected else None,
        )
        if self._failed is not None:
            await self._failed(job, sentence)
        await self._database.execute(*SQL.fail(id=job.id, owner=job.owner, error=sentence))


async def _checked(work: Awaitable[None]) -> None:
    await work


def _sentence(error: BaseException) -> str:
    return str(error) if isinstance(error, (Permanent, Transient)) else repr(error)


def _job(row: asyncpg.Record, owner: str, database: Database) -> Job:
    return Job(
        id=row["id"],
        kind=row["kind"],
        key=row["key"],
        payload=row["payload"],
        attempt=row["attempts"],
        progress=row["progress"],
        owner=owner,
        database=database,
    )
