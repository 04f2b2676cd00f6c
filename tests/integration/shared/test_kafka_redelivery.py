"""Consumption that fails on the way: every event is handled, whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CorruptRecordException

from shared.errors import Transient
from shared.kafka import Consumer, subscription
from shared.kafka.adapter import PolledConsumer
from shared.postgres import Database
from shared.settings import KafkaSettings, PostgresSettings
from tests.integration.shared.kafka_consumers import BAD, consumer, publish, publish_raw, until_committed
from tests.support.kafka import Collector, fresh_topic, interactions, raw_records, running
from tests.support.stack import Database as OwnDatabase
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_kafka_task_is_left")


async def test_hazard_02_a_handler_that_raises_gets_the_same_events_again(kafka: KafkaSettings) -> None:
    topic, failures = await fresh_topic(kafka), iter([Transient("away"), OSError("refused")])
    handler = Collector(fail=lambda _: next(failures, None))
    events = interactions(50)
    await publish(kafka, topic, events)

    async with running(consumer(kafka, topic, handler)):
        await handler.until_ids(events)

    assert sorted(handler.ids) == sorted(event.event_id for event in events), "each once in the end"
    assert await raw_records(kafka, topic.dlq("tracker")) == []


async def test_a_client_whose_commits_have_no_end_is_replaced(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, handler, clients = await fresh_topic(kafka), Collector(), list[PolledConsumer]()
    events = interactions(50)
    await publish(kafka, topic, events)
    await publish_raw(kafka, topic, BAD)
    commit = AIOKafkaConsumer.commit

    async def hangs_in_the_first(client: PolledConsumer, offsets: Any) -> None:
        if client not in clients:
            clients.append(client)
        if client is clients[0]:
            await asyncio.Event().wait()
        await commit(client, offsets)

    monkeypatch.setattr(AIOKafkaConsumer, "commit", hangs_in_the_first)
    monkeypatch.setattr(subscription, "COMMIT_SECONDS", 0.3)
    async with running(consumer(kafka, topic, handler)):
        await until_committed(kafka, topic)

    assert set(handler.ids) == {event.event_id for event in events}
    assert len(clients) > 1
    assert len(await raw_records(kafka, topic.dlq("tracker"))) == 1, "no second letter where it comes again"


async def test_hazard_03_a_failing_batch_over_many_partitions_loses_none_of_them(
    kafka: KafkaSettings,
) -> None:
    topic = await fresh_topic(kafka, partitions=8)
    failures = iter([Transient("away")] * 3)
    handler = Collector(fail=lambda _: next(failures, None))
    events = interactions(400, users=100)
    await publish(kafka, topic, events)

    async with running(consumer(kafka, topic, handler)):
        await handler.until_ids(events)
        await until_committed(kafka, topic)

    assert len(handler.ids) == len(events)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.UndefinedTableError("not migrated yet"),
        asyncpg.DeadlockDetectedError("busy"),
        ConnectionRefusedError("no Postgres"),
        TimeoutError("slow"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_unavailable_dependency_makes_no_dead_letters(
    kafka: KafkaSettings, error: Exception
) -> None:
    topic, failures = await fresh_topic(kafka), iter([error] * 4)
    handler = Collector(fail=lambda _: next(failures, None))
    events = interactions(20)
    await publish(kafka, topic, events)

    async with running(consumer(kafka, topic, handler)):
        await handler.until_ids(events)

    assert len(handler.calls) == 5
    assert await raw_records(kafka, topic.dlq("tracker")) == []


async def test_hazard_06_a_rebalance_in_the_middle_of_a_batch_loses_nothing(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, partitions=6)
    first, second = Collector(seconds=0.05), Collector(seconds=0.05)
    events = interactions(1_500, users=200)
    one = Consumer(kafka, "tracker")

    async def publish_until_the_second_reads() -> bool:
        batch = interactions(100, users=200)
        events.extend(batch)
        await publish(kafka, topic, batch)
        return len(second.events) > 100

    one.subscribe(topic, first, batch=50)

    async with running(one):
        await publish(kafka, topic, events)
        await first.until(lambda seen: len(seen.events) > 100)
        two = Consumer(kafka, "tracker")
        two.subscribe(topic, second, batch=50)
        async with running(two):
            await eventually(publish_until_the_second_reads, every=0.05)
        last = interactions(500, users=200)
        events += last
        await publish(kafka, topic, last)
        wanted = {event.event_id for event in events}
        await eventually(lambda: wanted <= {*first.ids, *second.ids})
        await until_committed(kafka, topic)


async def test_hazard_13_a_rebalance_during_a_database_write_loses_and_doubles_nothing(
    kafka: KafkaSettings, empty_database: OwnDatabase
) -> None:
    topic = await fresh_topic(kafka, partitions=6)
    events = interactions(1_500, users=200)
    pool = Database(PostgresSettings(database_url=empty_database.url), "public")

    async def store(batch: Sequence[Any]) -> None:
        async with pool.transaction() as connection:
            await connection.execute(
                "INSERT INTO kept (id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
                [event.event_id for event in batch],
            )
            await connection.execute("SELECT pg_sleep(0.05)")

    def reader() -> Consumer:
        made = Consumer(kafka, "tracker")
        made.subscribe(topic, store, batch=50)
        return made

    await publish(kafka, topic, events)
    async with running(pool):
        await pool.execute("CREATE TABLE kept (id text PRIMARY KEY)")
        async with running(reader()):
            for _ in range(2):
                async with running(reader()):
                    await asyncio.sleep(0.5)
            await until_committed(kafka, topic)
        kept = {row["id"] for row in await pool.fetch("SELECT id FROM kept")}

    assert kept == {event.event_id for event in events}


async def test_a_failing_poll_does_not_skip_what_it_had_taken_from_other_partitions(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, handler = await fresh_topic(kafka), Collector()
    await publish(kafka, topic, events := interactions(200))
    poll, failures = AIOKafkaConsumer.getmany, iter([CorruptRecordException("bad CRC")])

    async def getmany(self: AIOKafkaConsumer, *partitions: Any, **options: Any) -> Any:
        found = await poll(self, *partitions, **options)
        if found and (error := next(failures, None)) is not None:
            raise error
        return found

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", getmany)
    async with running(consumer(kafka, topic, handler)):
        await handler.until_ids(events)
        await until_committed(kafka, topic)


async def test_a_defect_between_faststream_and_handler_skips_nothing(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastStream swallows what is raised there and would go on with the next poll."""
    topic, handler = await fresh_topic(kafka), Collector()
    await publish(kafka, topic, events := interactions(200))
    reader = consumer(kafka, topic, handler)
    session = reader.subscriptions[0].session
    parse, failures = session._parsed, iter([UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd header")])

    async def parsed(records: Any) -> Any:
        if (error := next(failures, None)) is not None:
            raise error
        return await parse(records)

    monkeypatch.setattr(session, "_parsed", parsed)
    async with running(reader):
        await handler.until_ids(events)
        await until_committed(kafka, topic)
