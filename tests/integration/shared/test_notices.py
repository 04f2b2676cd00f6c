"""Notices of new rows: they are fast, and nothing depends on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from shared import jobs, outbox
from shared.errors import Transient
from shared.events.topics import Topic
from shared.jobs import Job, JobWorker, enqueue
from shared.kafka import Publisher
from shared.outbox import Relay
from shared.postgres import Database
from shared.settings import KafkaSettings
from tests.integration.shared.databases import JOBS, OUTBOX, pool_on
from tests.support.kafka import fresh_topic, interaction, raw_records, running
from tests.support.stack import Database as OwnDatabase
from tests.support.waiting import eventually

NEVER = 3_600.0
"""Where nobody looks by himself, a notice is the only thing that can bring a row on its way."""


@pytest_asyncio.fixture
async def pool(empty_database: OwnDatabase, tmp_path: Path) -> AsyncIterator[Database]:
    async with pool_on(empty_database.url, tmp_path, JOBS + OUTBOX) as database:
        yield database


@pytest.fixture
def only_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "POLL_SECONDS", NEVER)
    monkeypatch.setattr(jobs, "POLL_SECONDS", NEVER)


async def append(pool: Database, topic: Topic, count: int = 1) -> None:
    async with pool.transaction() as connection:
        await outbox.append(connection, topic, [interaction() for _ in range(count)])


async def until_empty(pool: Database) -> None:
    await eventually(lambda: pool.fetchval("SELECT NOT EXISTS (SELECT FROM outbox)"), "the outbox is empty")


async def until_heard(pool: Database) -> None:
    await eventually(lambda: pool.notices("nothing").heard, "the process listens")


async def cut_off(url: str) -> int:
    """End the connections that listen; return how many there were."""
    connection = await asyncpg.connect(url)
    try:
        ended = await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'tracker-notices' AND datname = current_database()"
        )
    finally:
        await connection.close()
    return len(ended)


@pytest.mark.usefixtures("only_notices")
async def test_a_committed_row_leaves_by_its_notice(kafka: KafkaSettings, pool: Database) -> None:
    topic = await fresh_topic(kafka)
    publisher = Publisher(kafka, "tracker", [topic])

    async with running(publisher, Relay(pool, publisher)):
        await until_heard(pool)
        for _ in range(3):
            await append(pool, topic)
            await until_empty(pool)

    assert len(await raw_records(kafka, topic.name)) == 3


@pytest.mark.usefixtures("only_notices")
async def test_rows_leave_while_listeners_are_cut_off_and_notices_come_again(
    kafka: KafkaSettings, pool: Database, empty_database: OwnDatabase
) -> None:
    topic = await fresh_topic(kafka)
    publisher = Publisher(kafka, "tracker", [topic])
    cuts = 0

    async with running(publisher, Relay(pool, publisher)):
        await until_heard(pool)
        for _ in range(5):
            cuts += await cut_off(empty_database.url)
            await append(pool, topic, 10)
        await until_empty(pool)
        await until_heard(pool)
        await append(pool, topic)
        await until_empty(pool)

    assert cuts >= 1
    assert len(await raw_records(kafka, topic.name)) == 51


async def test_a_row_without_a_notice_leaves_as_well(
    kafka: KafkaSettings, pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "POLL_SECONDS", 0.2)
    topic = await fresh_topic(kafka)
    publisher = Publisher(kafka, "tracker", [topic])

    async with running(publisher, Relay(pool, publisher)):
        await until_heard(pool)
        await pool.execute(
            "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, tenant) "
            "VALUES ('1', $1, 'shop:u', 'test', '{}', 'shop')",
            topic.name,
        )
        await until_empty(pool)

    assert len(await raw_records(kafka, topic.name)) == 1


@pytest.mark.usefixtures("only_notices")
async def test_another_relay_takes_over(kafka: KafkaSettings, pool: Database) -> None:
    """Which of two gets a notice's rows does not matter: whoever stays goes on."""
    topic = await fresh_topic(kafka)
    publisher = Publisher(kafka, "tracker", [topic])
    first, second = Relay(pool, publisher, batch=1), Relay(pool, publisher, batch=1)

    async with running(publisher, second):
        async with running(first):
            await until_heard(pool)
            await append(pool, topic, 20)
        await append(pool, topic, 20)
        await until_empty(pool)

    assert len(await raw_records(kafka, topic.name)) == 40


@pytest.mark.usefixtures("only_notices")
async def test_jobs_begin_by_their_notice_and_retries_when_they_are_due(pool: Database) -> None:
    attempts: list[str] = []

    async def work(job: Job) -> None:
        attempts.append(job.key)
        if job.key == "again" and attempts.count("again") == 1:
            raise Transient("away")

    worker = JobWorker(pool, {"work": work}, concurrency=2)
    await worker.start()
    await until_heard(pool)
    for key in ("first", "again"):
        await enqueue(pool, "work", key, {}, tenant="shop")
        await eventually(lambda key=key: key in attempts, f"{key} has begun")
    await eventually(lambda: attempts.count("again") == 2, "it was tried again")
    await worker.stop()

    assert attempts == ["first", "again", "again"]


@pytest.mark.usefixtures("only_notices")
async def test_a_tenants_next_job_begins_when_a_place_is_free(pool: Database) -> None:
    free, done = asyncio.Event(), []

    async def work(job: Job) -> None:
        await free.wait()
        done.append(job.key)

    worker = JobWorker(pool, {"work": work}, concurrency=2, per_tenant=1)
    await worker.start()
    await until_heard(pool)
    for key in ("first", "second"):
        await enqueue(pool, "work", key, {}, tenant="shop")

    async def statuses() -> list[Any]:
        rows = await pool.fetch("SELECT status FROM jobs ORDER BY id")
        return [row["status"] for row in rows]

    await eventually(statuses, "the first one works", enough=lambda seen: seen == ["running", "queued"])
    free.set()
    await eventually(statuses, "both are done", enough=lambda seen: seen == ["done", "done"])
    await worker.stop()

    assert done == ["first", "second"]


@pytest.mark.usefixtures("only_notices")
async def test_a_job_that_a_worker_gives_back_begins_elsewhere_at_once(pool: Database) -> None:
    begun: list[str] = []

    async def work(job: Job) -> None:
        begun.append(job.owner)
        if len(begun) == 1:
            await asyncio.Event().wait()

    first, second = JobWorker(pool, {"work": work}), JobWorker(pool, {"work": work})
    await first.start()
    await until_heard(pool)
    await enqueue(pool, "work", "a", {}, tenant="shop")
    await eventually(lambda: len(begun) == 1, "it has begun")
    await second.start()
    await first.stop()
    await eventually(lambda: len(begun) == 2, "it has begun again")
    await second.stop()
