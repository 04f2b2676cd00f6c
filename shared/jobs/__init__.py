"""Jobs: work that takes longer than a request, as rows that worker processes claim for the time of a lease.

A worker renews the lease of its job with heartbeats. When a worker dies, the lease expires and another worker
(or the same one, restarted) claims the job, so a handler must continue from what an earlier attempt has done.

The table is created by `migrations/`, which a service includes with one line in a migration of its own: see
`shared.postgres.migrations`.

See docs/decisions/0009-jobs.
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
from shared.jobs.job import SQL, Job, LeaseLost, claimed_job
from shared.postgres import UNAVAILABLE, Database

if TYPE_CHECKING:
    from shared.postgres import Connection, Notice

__all__ = ["SQL", "Handler", "Job", "JobWorker", "LeaseLost", "enqueue"]

LEASE_SECONDS = 15.0
HEARTBEAT_SECONDS = 4.0
POLL_SECONDS = 2.0
"""Interval of polling for jobs that were not announced by a notice."""

UNNOTIFIED_POLL_SECONDS = 0.5
"""The same while notices can't arrive, and the pause after an error."""

MIN_POLL_SECONDS = 0.05
MAX_DEATHS = 8
RETRY_SECONDS = 3600.0
MAX_BACKOFF_SECONDS = 60.0

log = structlog.get_logger()


Handler = Callable[[Job], Awaitable[None]]


async def enqueue(
    connection: Connection | Database, kind: str, key: str, payload: dict[str, Any], *, tenant: str
) -> int | None:
    """Add a job and return its id; None when one of this kind and key exists, in whatever status."""
    identifier = await connection.fetchval(*SQL.enqueue(kind=kind, key=key, payload=payload, tenant=tenant))
    return None if identifier is None else int(identifier)


class JobWorker:
    """Claims jobs and runs their handlers, `concurrency` at a time, until the process stops.

    A job whose handler raises `Transient`, or can't reach Postgres, is retried with exponential back-off for
    an hour. Any other exception fails the job; `failed(job, sentence)` is called to record the reason. A job
    whose worker dies eight times fails as well.

    Tenants take turns. The jobs of one tenant occupy at most `per_tenant` of this worker's slots, so that
    other tenants never wait for their end.
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
        """Run the kinds of job in `handlers`; without `per_tenant` a tenant may occupy every slot."""
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
        """Start claiming jobs; Postgres may be unavailable."""
        self._notice = notice = self._database.notices("jobs")
        # Host names and process ids of two containers may be equal.
        worker = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        slots = range(self._concurrency)
        self._tasks = [asyncio.create_task(self._loop(f"{worker}:{slot}", notice)) for slot in slots]

    async def stop(self) -> None:
        """Cancel the running handlers and return their jobs to the queue."""
        self._stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def alive(self) -> str | None:
        """Return a reason when a loop has ended, which never happens without an error."""
        dead = [task for task in self._tasks if task.done()]
        return "a job loop has ended" if dead and not self._stopping.is_set() else None

    def ready(self) -> str | None:
        """Return a reason until the loops are started."""
        return None if self._tasks else "the job loops are not started"

    async def _loop(self, owner: str, notice: Notice) -> None:
        while True:
            try:
                job, claimed_at = await self._next(owner, notice)
                try:
                    await self._run(job, claimed_at)
                finally:
                    self._running[job.tenant] -= 1
                    notice.give()  # another job of this tenant may wait for the slot
                continue
            except (Transient, *UNAVAILABLE) as error:
                log.warning("jobs.postgres_unavailable", error=repr(error))
            except Exception:
                # For example a table that does not exist yet. The lease of the job expires, the loop goes on.
                log.exception("jobs.loop_failed")
            await asyncio.sleep(UNNOTIFIED_POLL_SECONDS)

    async def _next(self, owner: str, notice: Notice) -> tuple[Job, float]:
        """Claim the next job of a tenant that has a free slot; return it with the time of the claim.

        Only one slot at a time polls for a job.
        """
        async with self._claiming:
            while True:
                notice.clear()
                self._running = +self._running
                full = [tenant for tenant, count in self._running.items() if count >= self._per_tenant]
                # The lease begins after this, so that it never ends earlier than the worker believes.
                jobs, claimed_at = {"kinds": list(self._handlers), "full": full}, monotonic()
                row = await self._database.fetchrow(*SQL.claim(owner=owner, lease=LEASE_SECONDS, **jobs))
                if row is not None:
                    self._running[row["tenant"]] += 1
                    return claimed_job(row, owner, self._database), claimed_at
                due_in = await self._database.fetchval(*SQL.next_due(**jobs))
                interval = POLL_SECONDS if notice.heard else UNNOTIFIED_POLL_SECONDS
                await notice.wait(
                    interval if due_in is None else min(max(due_in, MIN_POLL_SECONDS), interval)
                )

    async def _run(self, job: Job, claimed_at: float) -> None:
        """Run the handler of a job that was claimed at `claimed_at`, and record how it ended."""
        if job.attempt - job.retries > MAX_DEATHS:
            # These attempts ended without a result: the handler kills its process.
            await self._fail(job, Permanent(f"the worker died {MAX_DEATHS} times on this job"))
            return
        log.info("jobs.started", kind=job.kind, key=job.key, attempt=job.attempt)
        started = monotonic()
        work = asyncio.create_task(_as_coroutine(self._handlers[job.kind](job)))
        heartbeat = asyncio.create_task(self._keep_lease(job, work, claimed_at))
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
            await self._retry(job, error, monotonic() - started)
        except Exception as error:  # noqa: BLE001 - any other error fails this job, not the worker
            await self._fail(job, error)
        else:
            await self._database.execute(*SQL.finish(id=job.id, owner=job.owner))
            log.info("jobs.done", kind=job.kind, key=job.key)
        finally:
            heartbeat.cancel()

    async def _keep_lease(self, job: Job, work: asyncio.Task[None], renewed_at: float) -> None:
        """Renew the lease; cancel the work when it is lost, or before it expires."""
        pause = HEARTBEAT_SECONDS
        while True:
            deadline = renewed_at + LEASE_SECONDS - HEARTBEAT_SECONDS
            await asyncio.sleep(min(pause, max(0.0, deadline - monotonic())))
            sent_at = monotonic()
            renewed = await self._renew(job, within=min(HEARTBEAT_SECONDS, max(0.0, deadline - sent_at)))
            if renewed is False or (renewed is None and monotonic() >= deadline):
                work.cancel()
                return
            renewed_at = sent_at if renewed else renewed_at
            pause = HEARTBEAT_SECONDS if renewed else HEARTBEAT_SECONDS / 4

    async def _renew(self, job: Job, within: float) -> bool | None:
        """Renew the lease; return False when it is lost, None when Postgres does not answer in time.

        A call that hangs is not awaited: its cancellation waits for Postgres, too.
        """
        call = asyncio.create_task(
            self._database.execute(*SQL.heartbeat(id=job.id, owner=job.owner, lease=LEASE_SECONDS))
        )
        call.add_done_callback(_log_error)
        await asyncio.wait({call}, timeout=within)
        if not call.done():
            call.cancel()
            return None
        return None if call.exception() else call.result() != "UPDATE 0"

    async def _retry(self, job: Job, error: BaseException, attempt_seconds: float) -> None:
        """Queue the job for a retry, or fail it when it has been retried for an hour."""
        # The error of an attempt that has run for an hour is a new one: it starts a new series of retries.
        is_new_series = job.retried_seconds is None or attempt_seconds > RETRY_SECONDS
        if not is_new_series and (job.retried_seconds or 0.0) + attempt_seconds > RETRY_SECONDS:
            await self._fail(job, error)
            return
        delay = min(MAX_BACKOFF_SECONDS, 0.5 * 2 ** min(job.attempt, 10))
        log.warning("jobs.retry", kind=job.kind, key=job.key, seconds=delay, error=str(error))
        await self._database.execute(
            *SQL.retry(
                id=job.id, owner=job.owner, delay=delay, new_series=is_new_series, error=_sentence(error)
            )
        )

    async def _fail(self, job: Job, error: BaseException) -> None:
        """Fail a job, unless its lease is lost."""
        sentence = _sentence(error)
        if await self._renew(job, within=LEASE_SECONDS) is False:
            # Another worker has claimed the job, and may complete it.
            log.warning("jobs.lease_lost", kind=job.kind, key=job.key, error=sentence)
            return
        job.is_outage = isinstance(error, (Transient, *UNAVAILABLE))
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


async def _as_coroutine(work: Awaitable[None]) -> None:
    await work


def _log_error(call: asyncio.Task[str]) -> None:
    if not call.cancelled() and (error := call.exception()) is not None:
        log.warning("jobs.lease_not_renewed", error=repr(error))


def _sentence(error: BaseException) -> str:
    """Return the message of an error without characters that Postgres rejects: NUL and lone surrogates."""
    text = str(error) if isinstance(error, (Permanent, Transient)) else repr(error)
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
