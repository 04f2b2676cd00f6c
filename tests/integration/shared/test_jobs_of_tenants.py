"""Jobs of several tenants: they take turns, and none occupies every place of a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from shared import jobs
from shared.jobs import Job, JobWorker, enqueue
from shared.postgres import Database
from tests.integration.shared.databases import JOBS, pool_on
from tests.support.stack import Database as OwnDatabase
from tests.support.waiting import eventually


@pytest_asyncio.fixture
async def pool(empty_database: OwnDatabase, tmp_path: Path) -> AsyncIterator[Database]:
    async with pool_on(empty_database.url, tmp_path, JOBS) as database:
        yield database


async def test_tenants_take_turns_whoever_queued_first(pool: Database) -> None:
    for number in range(4):
        await enqueue(pool, "work", f"a{number}", {}, tenant="a")
    for key in ("b0", "b1", "c0"):
        await enqueue(pool, "work", key, {}, tenant=key[0])
    order: list[str] = []

    async def work(job: Job) -> None:
        order.append(job.key)

    worker = JobWorker(pool, {"work": work})
    await worker.start()
    await eventually(lambda: len(order) == 7)
    await worker.stop()

    assert order == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]


async def test_a_tenant_with_fewer_running_jobs_is_served_first(pool: Database) -> None:
    for key in ("a0", "a1", "b0", "b1"):
        await enqueue(pool, "work", key, {}, tenant=key[0])

    claimed = [
        await pool.fetchrow(*jobs.SQL.claim(kinds=["work"], owner="w", lease=60.0, full=full))
        for full in ([], ["b"], [], [], [])
    ]

    # The second claim may not take b's; then b runs less than a.
    assert [row and row["key"] for row in claimed] == ["a0", "a1", "b0", "b1", None]


async def test_endless_jobs_of_one_tenant_leave_a_place_for_the_others(pool: Database) -> None:
    for number in range(5):
        await enqueue(pool, "work", f"a{number}", {}, tenant="a")
    running: set[str] = set()
    most: list[int] = []
    done: list[str] = []
    release = asyncio.Event()

    async def work(job: Job) -> None:
        if job.tenant == "a":
            running.add(job.key)
            most.append(len(running))
            await release.wait()
            running.discard(job.key)
        done.append(job.key)

    worker = JobWorker(pool, {"work": work}, concurrency=3, per_tenant=2)
    await worker.start()
    await eventually(lambda: len(running) == 2)
    for number in range(3):
        await enqueue(pool, "work", f"b{number}", {}, tenant="b")
    await eventually(lambda: len(done) == 3)
    seen = list(done), sorted(running)
    release.set()
    await eventually(lambda: len(done) == 8)
    await worker.stop()

    assert seen == (["b0", "b1", "b2"], ["a0", "a1"])
    assert max(most) == 2
