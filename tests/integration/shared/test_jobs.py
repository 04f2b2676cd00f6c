"""Jobs: done once, tried again, given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from shared import jobs
from shared.errors import Permanent, Transient
from shared.jobs import Job, JobWorker, enqueue
from shared.postgres import Database
from tests.integration.shared.databases import JOBS, pool_on
from tests.integration.shared.job_rows import until_finished
from tests.support.stack import Database as OwnDatabase


@pytest_asyncio.fixture
async def pool(empty_database: OwnDatabase, tmp_path: Path) -> AsyncIterator[Database]:
    async with pool_on(empty_database.url, tmp_path, JOBS) as database:
        yield database


async def test_a_key_is_worked_on_once_whoever_asks(pool: Database) -> None:
    done: list[str] = []

    async def work(job: Job) -> None:
        done.append(job.key)

    first = await enqueue(pool, "work", "a", {}, tenant="shop")
    second = await enqueue(pool, "work", "a", {}, tenant="shop")
    workers = [JobWorker(pool, {"work": work}, concurrency=2) for _ in range(2)]
    for worker in workers:
        await worker.start()
    await until_finished(pool, "a")
    for worker in workers:
        await worker.stop()

    assert (first is not None, second, done) == (True, None, ["a"])


async def test_a_transient_error_is_tried_again_and_a_permanent_one_is_reported(pool: Database) -> None:
    attempts: list[int] = []
    told: list[str] = []

    async def work(job: Job) -> None:
        attempts.append(job.attempt)
        if job.attempt == 1:
            raise Transient("the object store is away")
        raise Permanent("the file has no header")

    async def failed(job: Job, sentence: str) -> None:
        told.append(f"{job.key}: {sentence}")

    await enqueue(pool, "work", "a", {}, tenant="shop")
    worker = JobWorker(pool, {"work": work}, failed=failed)
    await worker.start()
    row = await until_finished(pool, "a")
    await worker.stop()

    assert attempts == [1, 2]
    assert told == ["a: the file has no header"]
    assert (row["status"], row["error"]) == ("failed", "the file has no header")


async def test_a_worker_that_stops_puts_its_job_back(pool: Database) -> None:
    started = asyncio.Event()

    async def work(job: Job) -> None:
        started.set()
        await asyncio.Event().wait()

    await enqueue(pool, "work", "a", {}, tenant="shop")
    worker = JobWorker(pool, {"work": work})
    await worker.start()
    await started.wait()
    await worker.stop()

    row = await pool.fetchrow(*jobs.SQL.job(kind="work", key="a"))
    assert row is not None
    assert (row["status"], row["attempts"]) == ("queued", 0)


async def test_a_job_outlives_an_outage_of_many_attempts(
    pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MAX_BACKOFF_SECONDS", 0.0)
    monkeypatch.setattr(jobs, "MIN_POLL_SECONDS", 0.01)
    away = 2 * jobs.MAX_DEATHS

    async def work(job: Job) -> None:
        if job.attempt <= away:
            raise Transient("the object store is away")

    await enqueue(pool, "work", "a", {}, tenant="shop")
    worker = JobWorker(pool, {"work": work})
    await worker.start()
    row = await until_finished(pool, "a")
    await worker.stop()

    assert (row["status"], row["attempts"]) == ("done", away + 1)


async def test_a_job_is_given_up_when_something_stays_away(
    pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MAX_BACKOFF_SECONDS", 0.0)
    monkeypatch.setattr(jobs, "RETRY_SECONDS", 1.0)

    async def work(_: Job) -> None:
        raise Transient("the object store is away")

    await enqueue(pool, "work", "a", {}, tenant="shop")

    async def failed(job: Job, sentence: str) -> None:
        told.append((job.is_outage, sentence))

    told: list[tuple[bool, str]] = []
    # How long it waited for its turn is none of the hour.
    await pool.execute("UPDATE jobs SET created_at = now() - interval '1 day'")
    worker = JobWorker(pool, {"work": work}, failed=failed)
    await worker.start()
    row = await until_finished(pool, "a")
    await worker.stop()

    assert (row["status"], row["error"]) == ("failed", "the object store is away")
    assert told == [(True, "the object store is away")]
    assert int(str(row["attempts"])) > 1


async def test_the_loops_go_on_when_postgres_refuses_a_statement(
    pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "HEARTBEAT_SECONDS", 0.1)
    begun = asyncio.Event()

    async def work(_: Job) -> None:
        begun.set()
        await asyncio.sleep(0.5)

    worker = JobWorker(pool, {"work": work})
    await pool.execute("ALTER TABLE jobs RENAME COLUMN lease_until TO elsewhere")
    await worker.start()
    await asyncio.sleep(0.2)
    not_migrated = worker.alive()
    await pool.execute("ALTER TABLE jobs RENAME COLUMN elsewhere TO lease_until")
    await enqueue(pool, "work", "a", {}, tenant="shop")
    await begun.wait()
    await pool.execute("ALTER TABLE jobs RENAME COLUMN lease_until TO elsewhere")
    await asyncio.sleep(0.3)
    await pool.execute("ALTER TABLE jobs RENAME COLUMN elsewhere TO lease_until")
    row = await until_finished(pool, "a")
    still = worker.alive()
    await worker.stop()

    assert (not_migrated, still) == (None, None)
    assert (row["status"], row["attempts"]) == ("done", 1)


async def test_any_sentence_of_a_failure_is_kept(pool: Database) -> None:
    async def work(_: Job) -> None:
        raise Permanent("line 3: 'a\x00b\ud800c' is no price")

    await enqueue(pool, "work", "a", {}, tenant="shop")
    worker = JobWorker(pool, {"work": work})
    await worker.start()
    row = await until_finished(pool, "a")
    await worker.stop()

    assert (row["status"], row["error"]) == ("failed", "line 3: 'a\ufffdb?c' is no price")
