"""Work that takes longer than a request: a row with a lease and a heartbeat, done by worker processes.

A worker that dies leaves its lease to run out, and another worker (or the same one, restarted) takes the
job over; so a handler must find its own earlier work and go on from there. The table is in `table.sql`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog

from shared.errors import Permanent, Transient
from shared.jobs.job import SQL, Job, LeaseLost, claimed
from shared.postgres import UNAVAILABLE, Database

if TYPE_CHECKING:
    from shared.postgres import Connection, Notice

__all__ = ["SQL", "Handler", "Job", "JobWorker", "LeaseLost", "enqueue"]

LEASE_SECONDS = 15.0
HEARTBEAT_SECONDS = 4.0
POLL_SECONDS = 2.0
"""How often a worker looks for jobs that no notice told it of; a job that is due later is looked for then."""

DEAF_POLL_SECONDS = 0.5
"""The same while no notice can come, and the pause after an error."""

LEAST_POLL_SECONDS = 0.05
MAX_DEATHS = 8
RETRY_SECONDS = 3600.0
MAX_BACKOFF_SECONDS = 60.0

log = structlog.get_logger()


Handler = Callable[[Job], Awaitable[None]]


async def enqueue(
    connection: Connection | Database, kind: str, key: str, payload: dict[str, Any], *, tenant: str
) -> int | None:
    """Add a job of `tenant`; None when one of this kind and key exists already, whatever became of it."""
    identifier = await connection.fetchval(*SQL.enqueue(kind=kind, key=key, payload=payload, tenant=tenant))
    return None if identifier is None else int(identifier)


class JobWorker:
    """Claims jobs and runs their handlers, `concurrency` at a time, until the process stops.

    A handler that raises `Transient` (or finds Postgres away) is tried again with back-off for an hour; any
    other error fails the job, and `failed(job, sentence)` is told so that it can say it on. A job whose
    worker dies eight times fails as well.

    Tenants take turns, and one of them occupies at most `per_tenant` of this worker's places, so that the
    others' jobs never wait for the end of its jobs.
    """

    name = "jobs"

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, Handler],
        *,
        failed: Callable[[Job, str], Awaitable[None]] | None = None,
        concurrency: int = 1,
        per_tenant: int | None = None,
    ) -> None:
        """Serve the kinds of job in `handlers`; without `per_tenant` a tenant may occupy every place."""
        self._database = database
        self._handlers = dict(handlers)
        self._failed = failed
        self._concurrency = concurrency
        self._per_tenant = concurrency if per_tenant is None else per_tenant
        self._running: Counter[str] = Counter()
        self._claiming = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._notice: Notice | None = None
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Start claiming; Postgres may come later."""
        self._notice = notice = self._database.notices("jobs")
        # Hosts and process ids may be the same in two containers.
        worker = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        slots = range(self._concurrency)
        self._tasks = [asyncio.create_task(self._loop(f"{worker}:{slot}", notice)) for slot in slots]

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

    async def _loop(self, owner: str, notice: Notice) -> None:
        while True:
            try:
                job, asked = await self._next(owner, notice)
                try:
                    await self._run(job, asked)
                finally:
                    self._running[job.tenant] -= 1
                    notice.give()  # another job of this tenant may have waited for the place
                continue
            except (Transient, *UNAVAILABLE) as error:
                log.warning("jobs.postgres_away", error=repr(error))
            except (
                Exception
            ):  # a table that is not there yet, say; the job's lease runs out, the loop goes on
                log.exception("jobs.loop_failed")
            await asyncio.sleep(DEAF_POLL_SECONDS)

    async def _next(self, owner: str, notice: Notice) -> tuple[Job, float]:
        """Claim the next job of a tenant that has a place left here; return it with the time of the claim.

        One place waits for a job at a time, so that the others cost nothing.
        """
        async with self._claiming:
            while True:
                notice.clear()
                self._running = +self._running
                full = [tenant for tenant, count in self._running.items() if count >= self._per_tenant]
                jobs, asked = {"kinds": list(self._handlers), "full": full}, monotonic()
                row = await self._database.fetchrow(*SQL.claim(owner=owner, lease=LEASE_SECONDS, **jobs))
                if row is not None:
                    self._running[row["tenant"]] += 1
                    return claimed(row, owner, self._database), asked
                due = await self._database.fetchval(*SQL.next_due(**jobs))
                most = POLL_SECONDS if notice.heard else DEAF_POLL_SECONDS
                await notice.wait(most if due is None else min(max(due, LEAST_POLL_SECONDS), most))

    async def _run(self, job: Job, claimed: float) -> None:
        """Work on a job whose lease began at `claimed`, and say what became of it."""
        if job.attempt - job.retries > MAX_DEATHS:
            # Each attempt ended without a word: the handler kills its process, so don't try for ever.
            await self._fail(job, Permanent(f"the worker died {MAX_DEATHS} times on this job"))
            return
        log.info("jobs.started", kind=job.kind, key=job.key, attempt=job.attempt)
        began = monotonic()
        work = asyncio.create_task(_checked(self._handlers[job.kind](job)))
        heart = asyncio.create_task(self._beat(job, work, claimed))
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
            await self._retry(job, error, monotonic() - began)
        except Exception as error:  # noqa: BLE001 - any other error fails this job, not the worker
            await self._fail(job, error)
        else:
            await self._database.execute(*SQL.finish(id=job.id, owner=job.owner))
            log.info("jobs.done", kind=job.kind, key=job.key)
        finally:
            heart.cancel()

    async def _beat(self, job: Job, work: asyncio.Task[None], renewed: float) -> None:
        """Renew the lease; when it is lost, or can't be renewed in time, stop the work before it ends."""
        pause = HEARTBEAT_SECONDS
        while True:
            last = renewed + LEASE_SECONDS - HEARTBEAT_SECONDS
            await asyncio.sleep(min(pause, max(0.0, last - monotonic())))
            asked = monotonic()
            ours = await self._renew(job, within=min(HEARTBEAT_SECONDS, max(0.0, last - asked)))
            if ours is False or (ours is None and monotonic() >= last):
                work.cancel()
                return
            renewed = asked if ours else renewed
            pause = HEARTBEAT_SECONDS if ours else HEARTBEAT_SECONDS / 4

    async def _renew(self, job: Job, within: float) -> bool | None:
        """Whether the lease is still ours, and longer; None when Postgres doesn't say so in time.

        A call that hangs is left behind: to cancel it waits for Postgres once more.
        """
        call = asyncio.create_task(
            self._database.execute(*SQL.heartbeat(id=job.id, owner=job.owner, lease=LEASE_SECONDS))
        )
        call.add_done_callback(_taken_note_of)
        await asyncio.wait({call}, timeout=within)
        if not call.done():
            call.cancel()
            return None
        return None if call.exception() else call.result() != "UPDATE 0"

    async def _retry(self, job: Job, error: BaseException, worked: float) -> None:
        """Try again later, unless that has gone on for too long; `worked` is the attempt's seconds."""
        # An attempt that got on for so long has met something new.
        anew = job.retried is None or worked > RETRY_SECONDS
        if not anew and (job.retried or 0.0) + worked > RETRY_SECONDS:
            await self._fail(job, error)
            return
        delay = min(MAX_BACKOFF_SECONDS, 0.5 * 2 ** min(job.attempt, 10))
        log.warning("jobs.retry", kind=job.kind, key=job.key, seconds=delay, error=str(error))
        await self._database.execute(
            *SQL.retry(id=job.id, owner=job.owner, delay=delay, anew=anew, error=_sentence(error))
        )

    async def _fail(self, job: Job, error: BaseException) -> None:
        sentence = _sentence(error)
        if await self._renew(job, within=LEASE_SECONDS) is False:
            # Another worker has it now, and may bring it to a good end.
            log.warning("jobs.lease_lost", kind=job.kind, key=job.key, error=sentence)
            return
        job.outage = isinstance(error, (Transient, *UNAVAILABLE))
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


def _taken_note_of(call: asyncio.Task[str]) -> None:
    if not call.cancelled() and (error := call.exception()) is not None:
        log.warning("jobs.not_renewed", error=repr(error))


def _sentence(error: BaseException) -> str:
    """What went wrong, in characters that Postgres keeps: no NUL, no half of a surrogate pair."""
    text = str(error) if isinstance(error, (Permanent, Transient)) else repr(error)
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
