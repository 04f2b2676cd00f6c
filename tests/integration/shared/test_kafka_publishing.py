"""Publication to a real broker: confirmed means stored, on the key's partition, in order."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from aiokafka.errors import OutOfOrderSequenceNumber, ProducerFenced
from aiokafka.partitioner import murmur2

from shared.errors import Permanent, Transient
from shared.kafka import Publisher, Record
from shared.settings import KafkaSettings
from tests.integration.shared.kafka_records import ids
from tests.support.kafka import fresh_topic, interaction, interactions, raw_records, refreshed, running
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("no_kafka_task_is_left")


async def test_hazard_05_each_event_lands_on_its_own_keys_partition_in_order(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, partitions=7)
    publisher = Publisher(kafka, "tracker", [topic])
    events = interactions(2_000, users=100)

    async with running(publisher):
        for begin in range(0, len(events), 100):
            await publisher.publish(topic, events[begin : begin + 100], within=PATIENCE)

    records = await raw_records(kafka, topic.name)
    assert sorted(ids(records)) == sorted(event.event_id for event in events)
    assert len({record.partition for record in records}) == 7
    for record in records:
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % 7, "as Java's client would"
    for partition in range(7):
        mine = [record for record in records if record.partition == partition]
        numbers: dict[bytes, list[str]] = {}
        for record, event_id in zip(mine, ids(mine), strict=True):
            numbers.setdefault(record.key, []).append(event_id.partition(":")[2])
        assert all(order == sorted(order) for order in numbers.values())


async def test_hazard_12_every_record_is_confirmed_by_all_and_the_producer_is_idempotent(
    kafka: KafkaSettings,
) -> None:
    topic = await fresh_topic(kafka)
    publisher = Publisher(kafka, "tracker", [topic])

    async with running(publisher):
        await publisher.publish(topic, [interaction()], within=PATIENCE)
        producer = publisher._producer._current
        assert producer is not None
        assert (producer._sender._acks, producer._txn_manager is not None) == (-1, True)


async def test_many_callers_at_once_are_all_confirmed(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka)
    publisher = Publisher(kafka, "tracker", [topic])
    events = interactions(1_000)

    async with running(publisher):
        await asyncio.gather(*(publisher.publish(topic, [event], within=PATIENCE) for event in events))

    assert sorted(ids(await raw_records(kafka, topic.name))) == sorted(e.event_id for e in events)


@pytest.mark.parametrize("error", [OutOfOrderSequenceNumber(), ProducerFenced()])
async def test_hazard_09_a_fatal_error_of_the_sender_costs_a_new_producer_and_no_event(
    kafka: KafkaSettings, error: Exception
) -> None:
    topic = await fresh_topic(kafka)
    publisher = Publisher(kafka, "tracker", [topic])
    events = interactions(300)

    async with running(publisher):
        await publisher.publish(topic, events[:100], within=PATIENCE)
        broken = publisher._producer._current
        assert broken is not None
        # What aiokafka itself does when its sender dies: every later send raises until it is replaced.
        broken._message_accumulator.fail_all(error)
        await publisher.publish(topic, events[100:200], within=PATIENCE)
        assert publisher._producer._current is not broken
        await publisher.publish(topic, events[200:], within=PATIENCE)

    assert set(ids(await raw_records(kafka, topic.name))) == {event.event_id for event in events}


async def test_hazard_09_a_sequence_that_the_broker_refuses_is_sent_again_by_a_new_producer(
    kafka: KafkaSettings,
) -> None:
    topic = await fresh_topic(kafka, partitions=1)
    publisher = Publisher(kafka, "tracker", [topic])
    events = interactions(200)

    async with running(publisher):
        await publisher.publish(topic, events[:100], within=PATIENCE)
        producer = publisher._producer._current
        assert producer is not None
        for partition in list(producer._txn_manager._sequence_numbers):
            producer._txn_manager._sequence_numbers[partition] += 1_000
        await publisher.publish(topic, events[100:], within=PATIENCE)

    assert ids(await raw_records(kafka, topic.name)) == [event.event_id for event in events]


async def test_an_event_that_is_too_large_is_refused_alone(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka)
    publisher = Publisher(kafka, "tracker", [topic])
    large = interaction(properties={"text": "x" * 1_000_000})

    async with running(publisher):
        with pytest.raises(Permanent, match="at most 1000000"):
            await publisher.publish(topic, [interaction(), large], within=PATIENCE)
        assert await raw_records(kafka, topic.name) == [], "nothing of the call was sent"
        await publisher.publish(topic, [interaction()], within=PATIENCE)


async def test_a_topic_that_does_not_exist_is_no_reason_to_lose_the_producer(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka)
    missing = replace(topic, name="nowhere-v1")
    publisher = Publisher(kafka, "tracker", [topic, missing])

    async with running(publisher):
        with pytest.raises(Transient):
            await publisher.publish(missing, [interaction()], within=1)
        await publisher.publish(topic, [interaction()], within=PATIENCE)


async def test_the_registry_decides_who_publishes_what(kafka: KafkaSettings) -> None:
    topic, other = await fresh_topic(kafka), await fresh_topic(kafka)

    with pytest.raises(ValueError, match="loader as producer"):
        Publisher(kafka, "loader", [topic])
    publisher = Publisher(kafka, "tracker", [topic])
    with pytest.raises(ValueError, match="wasn't made for"):
        await publisher.publish(other, [interaction()])
    with pytest.raises(TypeError, match="does not list CacheRefreshed"):
        await publisher.publish(topic, [refreshed("shop", 1)])


async def test_nothing_to_publish_is_published_at_once(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka)

    await Publisher(kafka, "tracker", [topic]).publish(topic, [])


async def test_records_without_key_and_tombstones_go_as_they_are(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, partitions=1)
    publisher = Publisher(kafka, "tracker", [topic])

    async with running(publisher):
        await publisher.publish_raw(
            topic.name,
            [Record(None, b"\xff", (("odd", None), ("bytes", b"\xff"))), Record(b"k", None)],
            within=PATIENCE,
        )

    first, second = await raw_records(kafka, topic.name)
    assert (first.key, first.value, list(first.headers)) == (
        None,
        b"\xff",
        [("odd", None), ("bytes", b"\xff")],
    )
    assert (second.key, second.value) == (b"k", None)
