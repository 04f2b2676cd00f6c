"""Leases of jobs: taken over from the dead, and nothing told after they are lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from shared import jobs
from shared.errors import Permanent
from shared.jobs import Job, JobWorker, enqueue
from shared.postgres import Database
from tests.integration.shared.databases import JOBS, pool_on
from tests.integration.shared.job_rows import until_finished
from tests.support.stack import Database as OwnDatabase
from tests.support.waiting import PATIENCE


@pytest_asyncio.fixture
async def pool(empty_database: OwnDatabase, tmp_path: Path) -> AsyncIterator[Database]:
    async with pool_on(empty_database.url, tmp_path, JOBS) as database:
        yield database


async def test_the_job_of_a_killed_worker_is_taken_over_with_its_progress(
    pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LEASE_SECONDS", 0.5)
    monkeypatch.setattr(jobs, "HEARTBEAT_SECONDS", 0.1)
    seen: list[tuple[int, dict[str, object]]] = []

    async def die(job: Job) -> None:
        await job.report(step="snapshot")
        await asyncio.Event().wait()

    async def go_on(job: Job) -> None:
        seen.append((job.attempt, job.progress))

    await enqueue(pool, "work", "a", {}, tenant="shop")
    row = await pool.fetchrow(*jobs.SQL.claim(kinds=["work"], owner="dead", lease=0.5, full=[]))
    assert row is not None
    await pool.execute(*jobs.SQL.report(id=row["id"], owner="dead", progress={"step": "snapshot"}))
    worker = JobWorker(pool, {"work": go_on})
    await worker.start()
    await until_finished(pool, "a")
    await worker.stop()

    assert seen == [(2, {"step": "snapshot"})]


async def test_a_worker_that_lost_its_lease_stops_its_handler(
    pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "HEARTBEAT_SECONDS", 0.1)
    started, stopped = asyncio.Event(), asyncio.Event()

    async def work(job: Job) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    await enqueue(pool, "work", "a", {}, tenant="shop")
    worker = JobWorker(pool, {"work": work})
    await worker.start()
    await started.wait()
    await pool.execute("UPDATE jobs SET owner = 'somebody else'")

    async with asyncio.timeout(PATIENCE):
        await stopped.wait()
    await worker.stop()


async def test_a_job_that_kills_its_worker_is_given_up(
    pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(job: Job) -> None:
        raise AssertionError("must not be tried again")

    await enqueue(pool, "work", "a", {}, tenant="shop")
    for _ in range(jobs.MAX_DEATHS):
        await pool.fetchrow(*jobs.SQL.claim(kinds=["work"], owner="dies", lease=-1.0, full=[]))
    worker = JobWorker(pool, {"work": work})
    await worker.start()
    row = await until_finished(pool, "a")
    await worker.stop()

    assert row["error"] == "the worker died 8 times on this job"


async def test_a_renewal_that_hangs_stops_the_handler_before_the_lease_ends(
    pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "HEARTBEAT_SECONDS", 0.4)
    monkeypatch.setattr(jobs, "LEASE_SECONDS", 1.5)
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def work(_: Job) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    await enqueue(pool, "work", "a", {}, tenant="shop")
    worker = JobWorker(pool, {"work": work})
    await worker.start()
    await begun.wait()
    async with pool.transaction() as connection:
        # Every renewal waits for this lock.
        await connection.execute("LOCK TABLE jobs IN SHARE MODE")
        await stopped.wait()
        left = await connection.fetchval(
            "SELECT extract(epoch FROM lease_until - clock_timestamp()) FROM jobs"
        )
    await worker.stop()

    assert left > 0


async def test_a_worker_that_has_lost_its_job_does_not_tell_that_it_failed(pool: Database) -> None:
    told: list[str] = []

    async def work(job: Job) -> None:
        # Another worker takes the job over, since this one did not renew its lease.
        await pool.execute("UPDATE jobs SET lease_until = now() - interval '1 second'")
        await pool.fetchrow(*jobs.SQL.claim(kinds=["work"], owner="another", lease=60.0, full=[]))
        taken_over.set()
        raise Permanent(f"attempt {job.attempt} came to nothing")

    async def failed(_: Job, sentence: str) -> None:
        told.append(sentence)

    taken_over = asyncio.Event()
    await enqueue(pool, "work", "a", {}, tenant="shop")
    worker = JobWorker(pool, {"work": work}, failed=failed)
    await worker.start()
    async with asyncio.timeout(PATIENCE):
        await taken_over.wait()
    await asyncio.sleep(0.3)
    await worker.stop()

    row = await pool.fetchrow(*jobs.SQL.job(kind="work", key="a"))
    assert row is not None
    assert (row["status"], row["error"], told) == ("running", None, [])
