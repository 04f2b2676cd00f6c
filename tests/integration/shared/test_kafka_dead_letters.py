"""Records that nobody can handle become dead letters, and the others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from shared.errors import Permanent
from shared.kafka import Record
from shared.kafka.connection import client_options
from shared.postgres import Database
from shared.settings import KafkaSettings, PostgresSettings
from tests.integration.shared.kafka_consumers import BAD, consumer, publish, publish_raw, until_committed
from tests.support.kafka import (
    NOW,
    Collector,
    fresh_topic,
    interaction,
    interactions,
    raw_records,
    running,
    until_dead_letters,
)
from tests.support.stack import Database as OwnDatabase

pytestmark = pytest.mark.usefixtures("no_kafka_task_is_left")


async def test_hazard_04_a_malformed_record_is_one_dead_letter_and_blocks_no_other(
    kafka: KafkaSettings,
) -> None:
    topic, handler = await fresh_topic(kafka, partitions=1), Collector()
    before, after = interactions(5), interactions(5)
    await publish(kafka, topic, before)
    await publish_raw(kafka, topic, BAD)
    await publish(kafka, topic, after)

    async with running(consumer(kafka, topic, handler)):
        await handler.until_ids(after)
        await until_committed(kafka, topic)
        await asyncio.sleep(1)

    assert handler.ids == [event.event_id for event in [*before, *after]]
    assert len(handler.calls) == 2
    (letter,) = await raw_records(kafka, topic.dlq("tracker"))
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (BAD.key, BAD.value)
    assert headers.pop("dlq-failed-at")
    assert b"InteractionRecorded" in headers.pop("dlq-reason")
    assert headers == {
        "dlq-error-class": b"not_json",
        "dlq-group": b"tracker",
        "dlq-attempts": b"1",
        "original_topic": topic.name.encode(),
        "original_partition": b"0",
        "original_offset": b"5",
    }


async def test_an_event_that_the_handler_refuses_is_the_only_dead_letter(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, partitions=1)
    events = interactions(20)
    refused = {events[3].event_id, events[11].event_id}

    def fail(batch: Sequence[Any]) -> Exception | None:
        bad = refused & {event.event_id for event in batch}
        return Permanent("no such item") if bad else None

    handler = Collector(fail=fail)
    await publish(kafka, topic, events)

    async with running(consumer(kafka, topic, handler)):
        letters = await until_dead_letters(kafka, topic.dlq("tracker"), 2)
        await until_committed(kafka, topic)

    assert handler.ids == [event.event_id for event in events if event.event_id not in refused]
    assert {dict(letter.headers)["ce_id"].decode() for letter in letters} == refused
    assert {dict(letter.headers)["dlq-reason"] for letter in letters} == {b"no such item"}
    assert {dict(letter.headers)["dlq-error-class"] for letter in letters} == {b"Permanent"}


async def test_an_unexpected_error_is_tried_three_times_and_then_a_dead_letter(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, partitions=1)
    events = interactions(5)
    tries: list[str] = []

    def fail(batch: Sequence[Any]) -> Exception | None:
        if events[2].event_id in {event.event_id for event in batch}:
            tries.extend(event.event_id for event in batch if len(batch) == 1)
            return ZeroDivisionError("a defect")
        return None

    await publish(kafka, topic, events)
    async with running(consumer(kafka, topic, Collector(fail=fail))):
        (letter,) = await until_dead_letters(kafka, topic.dlq("tracker"), 1)

    assert tries == [events[2].event_id] * 3
    assert dict(letter.headers)["dlq-attempts"] == b"3"
    assert dict(letter.headers)["dlq-reason"] == b"ZeroDivisionError('a defect')"


REFUSED_BY_POSTGRES: dict[str, tuple[Any, ...]] = {
    "nul": ("\x00", 1, NOW, {}),
    "integer": ("a", 2**31, NOW, {}),
    "time": ("a", 1, datetime.fromisoformat("9999-12-31T23:59:59-14:00"), {}),
    "nul in json": ("a", 1, NOW, {"name": "\x00"}),
    "too long for an index": ("".join(f"{n:x}" for n in range(30_000)), 1, NOW, {}),
    "contradicts a check": ("a", 13, NOW, {}),
    "a text for a number": ("a", "many", NOW, {}),
}


async def test_values_that_postgres_refuses_are_dead_letters_of_their_own(
    kafka: KafkaSettings, empty_database: OwnDatabase
) -> None:
    topic = await fresh_topic(kafka, partitions=1)
    pool = Database(PostgresSettings(database_url=empty_database.url), "public")
    bad = [interaction(item_id=kind) for kind in REFUSED_BY_POSTGRES for _ in range(2)]
    good = interactions(20)
    mixed = [*good[:5], *bad, *good[5:]]

    async def store(batch: Sequence[Any]) -> None:
        async with pool.transaction() as connection:
            for event in batch:
                text, number, at, document = REFUSED_BY_POSTGRES.get(event.item_id, ("a", 1, NOW, {}))
                await connection.execute(
                    "INSERT INTO kept VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                    event.event_id, text, number, at, document,
                )  # fmt: skip

    await publish(kafka, topic, mixed)
    async with running(pool):
        await pool.execute(
            "CREATE TABLE kept (id text PRIMARY KEY, t text, n int CHECK (n <> 13), at timestamptz, d jsonb)"
        )
        await pool.execute("CREATE INDEX ON kept (t)")
        reader = consumer(kafka, topic, store, max_consecutive_bad=3)
        async with running(reader):
            await until_committed(kafka, topic)
            assert (reader.ready(), reader.alive()) == (None, None)
        kept = {row["id"] for row in await pool.fetch("SELECT id FROM kept")}

    letters = await raw_records(kafka, topic.dlq("tracker"))
    assert kept == {event.event_id for event in good}
    assert {dict(letter.headers)["ce_id"].decode() for letter in letters} == {event.event_id for event in bad}
    assert len(letters) == len(bad)
    assert {dict(letter.headers)["dlq-attempts"] for letter in letters} == {b"1", b"3"}, "3 for a check"


async def test_an_unknown_version_is_kept_and_is_no_reason_to_stop(kafka: KafkaSettings) -> None:
    topic, handler = await fresh_topic(kafka, partitions=1), Collector()
    later = Record(b"k", b"{}", (("ce_type", b"endcap.InteractionRecorded.v2"),))
    await publish_raw(kafka, topic, *[later] * 8)
    await publish(kafka, topic, events := interactions(1))
    reader = consumer(kafka, topic, handler, max_consecutive_bad=3)

    async with running(reader):
        await handler.until_ids(events)
        letters = await until_dead_letters(kafka, topic.dlq("tracker"), 8)
        assert reader.ready() is None

    assert {dict(letter.headers)["dlq-error-class"] for letter in letters} == {b"unsupported_version"}


async def test_foreign_headers_break_nothing(kafka: KafkaSettings) -> None:
    topic, handler = await fresh_topic(kafka, partitions=1), Collector()
    value = interaction(event_id="e1").model_dump_json().encode()
    odd = (("none", None), ("bytes", b"\xff\xfe"), ("", b""), ("traceparent", b"\xff"), ("traceparent", None))
    await publish_raw(kafka, topic, Record(None, value, odd), Record(b"\xff", value, odd))

    async with running(consumer(kafka, topic, handler)):
        await handler.until(lambda seen: len(seen.events) == 2)

    assert handler.ids == ["e1", "e1"]


async def test_a_dead_letter_of_a_bad_record_that_is_too_large_names_its_offset(kafka: KafkaSettings) -> None:
    topic, handler = await fresh_topic(kafka, partitions=1), Collector()
    foreign = AIOKafkaProducer(**client_options(kafka, "test"), max_request_size=4_000_000)
    await foreign.start()
    await foreign.send_and_wait(topic.name, b"x" * 2_000_000, key=b"k")
    await foreign.stop()
    await publish(kafka, topic, events := interactions(3))

    async with running(consumer(kafka, topic, handler)):
        await handler.until_ids(events)

    (letter,) = await raw_records(kafka, topic.dlq("tracker"))
    assert (letter.key, letter.value) == (b"k", None)
    assert dict(letter.headers)["original_offset"] == b"0"
