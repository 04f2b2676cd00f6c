"""Consumption from a real broker: batches, order, groups, and where a consumer begins."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from time import monotonic
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from faststream import AckPolicy

from shared.events.topics import Topic
from shared.kafka import Consumer, Publisher, Record, adapter, committed, end_offsets, missing
from shared.kafka.connection import client_options
from shared.observability import tracing
from shared.settings import KafkaSettings
from tests.integration.shared.kafka_consumers import consumer, publish, publish_raw, until_committed
from tests.support.kafka import (
    COMPACTED,
    Collector,
    fresh_topic,
    interaction,
    interactions,
    refreshed,
    running,
)
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.usefixtures("no_kafka_task_is_left")


async def test_an_idle_consumer_fetches_less_often_and_gets_the_next_record(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await fresh_topic(kafka)
    collector = Collector()
    idle = consumer(kafka, topic, collector)
    client = idle.subscriptions[0].session

    def wait_ms() -> int | None:
        fetcher = client.consumer and client.consumer._fetcher
        return fetcher and fetcher._fetch_max_wait_ms

    async with running(idle):
        await eventually(lambda: wait_ms() == adapter.FETCH_WAIT_MS, "it has begun")
        monkeypatch.setattr(adapter, "IDLE_SECONDS", 0.0)
        await eventually(lambda: wait_ms() == adapter.IDLE_FETCH_WAIT_MS, "it is idle")
        events = interactions(5)
        await publish(kafka, topic, events)
        await collector.until_ids(events)
        monkeypatch.undo()
        await eventually(lambda: wait_ms() == adapter.FETCH_WAIT_MS, "it is not idle any more")


async def test_events_come_in_batches_in_order_per_key_and_are_committed(kafka: KafkaSettings) -> None:
    topic, handler = await fresh_topic(kafka), Collector()
    events = interactions(2_000, users=30)
    await publish(kafka, topic, events)

    async with running(consumer(kafka, topic, handler)):
        await handler.until_ids(events)
        await until_committed(kafka, topic)

    assert handler.events != []
    assert max(handler.calls) > 100
    by_user: dict[str, list[str]] = {}
    for event in handler.events:
        by_user.setdefault(event.user_id, []).append(event.event_id.partition(":")[2])
    assert all(order == sorted(order) for order in by_user.values())
    assert missing(await end_offsets(kafka, topic), await committed(kafka, "tracker", topic)) == 0


async def test_hazard_01_no_subscriber_acknowledges_by_itself(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka)
    session = consumer(kafka, topic, Collector()).subscriptions[0].session

    policies = [subscriber.ack_policy for subscriber in session._build().subscribers]

    assert policies == [AckPolicy.MANUAL]


async def test_hazard_01_what_was_not_handled_to_the_end_comes_again(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "GRACE_SECONDS", 0.2)
    topic = await fresh_topic(kafka)
    events = interactions(100)
    await publish(kafka, topic, events)

    async def hangs(_: Sequence[Any]) -> None:
        reached.set()
        await asyncio.Event().wait()

    reached = asyncio.Event()
    async with running(consumer(kafka, topic, hangs)):
        await reached.wait()
    assert await committed(kafka, "tracker", topic) == {}

    handler = Collector()
    async with running(consumer(kafka, topic, handler)):
        await handler.until_ids(events)


async def test_a_tombstone_reaches_the_handler_of_a_compacted_topic(kafka: KafkaSettings) -> None:
    topic, handler = await fresh_topic(kafka, COMPACTED, partitions=1), Collector()
    await publish(kafka, topic, [refreshed("shop", 1)])
    await publish_raw(kafka, topic, Record(b"shop", None))

    async with running(consumer(kafka, topic, handler)):
        await handler.until(lambda seen: len(seen.events) == 2)

    state, gone = handler.events
    assert (state.activation, gone.key, gone.tenant) == (1, "shop", "shop")


async def test_two_subscriptions_of_one_service_share_its_group(kafka: KafkaSettings) -> None:
    one, other = await fresh_topic(kafka), await fresh_topic(kafka)
    first, second = Collector(), Collector()
    reader = Consumer(kafka, "tracker")
    reader.subscribe(one, first)
    reader.subscribe(other, second)
    ones, others = interactions(200), interactions(200)
    await publish(kafka, one, ones)
    await publish(kafka, other, others)

    async with running(reader):
        await first.until_ids(ones)
        await second.until_ids(others)
        await until_committed(kafka, one)
        await until_committed(kafka, other)

    assert {*first.ids} & {*second.ids} == set()


async def test_a_purpose_is_a_group_of_its_own(kafka: KafkaSettings) -> None:
    topic, store, count = await fresh_topic(kafka), Collector(), Collector()
    reader = Consumer(kafka, "tracker")
    reader.subscribe(topic, store)
    reader.subscribe(topic, count, purpose="count")
    await publish(kafka, topic, events := interactions(50))

    async with running(reader):
        await store.until_ids(events)
        await count.until_ids(events)
        await until_committed(kafka, topic, "tracker-count")


async def test_events_gather_for_a_handler_that_nobody_waits_for(kafka: KafkaSettings) -> None:
    topic, handler, gather, began = await fresh_topic(kafka), Collector(), 1.0, list[float]()

    async def timed(events: Sequence[Any]) -> None:
        began.append(monotonic())
        await handler(events)

    reader = Consumer(kafka, "tracker")
    reader.subscribe(topic, timed, gather=gather)
    first, *others = interactions(21)

    async with running(reader, publisher := Publisher(kafka, "tracker", [topic])):
        await publisher.publish(topic, [first], within=PATIENCE)
        await handler.until_ids([first])
        for event in others:
            await publisher.publish(topic, [event], within=PATIENCE)
        await handler.until_ids(others)
        await until_committed(kafka, topic)

    # From the poll that found the first to the next poll; between a poll and its call passes almost nothing.
    assert min(after - before for before, after in pairwise(began)) > gather / 2


async def test_hazard_12_what_was_there_before_the_first_join_is_read(kafka: KafkaSettings) -> None:
    topic, handler = await fresh_topic(kafka), Collector()
    await publish(kafka, topic, events := interactions(10))

    async with running(reader := consumer(kafka, topic, handler)):
        await handler.until_ids(events)
        client = reader.subscriptions[0].session.consumer
        assert client is not None
        assert (client._enable_auto_commit, client._auto_offset_reset) == (False, "earliest")


async def test_hazard_12_a_partition_that_is_added_later_is_read_from_its_first_record(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.kafka.connection.METADATA_MAX_AGE_MS", 1_000)
    topic, handler = await fresh_topic(kafka, partitions=1), Collector()
    admin = AIOKafkaAdminClient(**client_options(kafka, "test"))

    async with running(consumer(kafka, topic, handler)):
        await publish(kafka, topic, first := interactions(10))
        await handler.until_ids(first)
        await admin.start()
        await admin.create_partitions({topic.name: NewPartitions(total_count=4)})
        await admin.close()
        await eventually(lambda: four_partitions(kafka, topic), every=0.1)
        await publish(kafka, topic, second := interactions(200))
        await handler.until_ids(second)


async def four_partitions(settings: KafkaSettings, topic: Topic) -> bool:
    admin = AIOKafkaAdminClient(**client_options(settings, "test"))
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic.name])
    finally:
        await admin.close()
    return len(described["partitions"]) == 4


async def test_a_trace_goes_through_kafka(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka)
    given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    seen: list[str] = []

    async def handler(_: Sequence[Any]) -> None:
        seen.append(tracing.traceparent())

    with tracing.work("POST /v1/events", [given]):
        await publish(kafka, topic, [interaction()])
    async with running(consumer(kafka, topic, handler)):
        await eventually(lambda: bool(seen))

    assert seen == [given]


async def test_the_registry_decides_who_consumes_what(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka)

    with pytest.raises(ValueError, match="loader as consumer"):
        Consumer(kafka, "loader").subscribe(topic, Collector())


async def test_stopping_waits_for_the_records_at_hand_and_commits_them(kafka: KafkaSettings) -> None:
    topic, handler = await fresh_topic(kafka), Collector(seconds=1)
    await publish(kafka, topic, events := interactions(20))
    reader = consumer(kafka, topic, handler)
    await reader.start()
    await handler.until(lambda seen: bool(seen.calls))

    await reader.stop()

    handled = set(handler.ids)
    assert handled
    again = Collector()
    async with running(consumer(kafka, topic, again)):
        await eventually(lambda: {*handled, *again.ids} == {event.event_id for event in events})
        await until_committed(kafka, topic)
    assert not handled & set(again.ids)


async def test_a_slow_handler_keeps_its_partitions_during_a_burst(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that takes longer than a session, at 100 ms for each event, is no reason to rebalance."""
    monkeypatch.setitem(adapter.CONSUMER_OPTIONS, "session_timeout_ms", 6_000)
    monkeypatch.setitem(adapter.CONSUMER_OPTIONS, "heartbeat_interval_ms", 1_000)
    topic, handled = await fresh_topic(kafka, partitions=1), Collector()

    async def slow(events: Sequence[Any]) -> None:
        await asyncio.sleep(0.1 * len(events))
        await handled(events)

    reader = Consumer(kafka, "tracker")
    reader.subscribe(topic, slow, batch=80)
    session = reader.subscriptions[0].session
    events = interactions(88)
    async with running(reader):
        await publish(kafka, topic, events[:8])
        await handled.until(lambda seen: bool(seen.events))
        assert session.consumer is not None
        joined = session.consumer._coordinator.generation
        await publish(kafka, topic, events[8:])
        behind = missing(await end_offsets(kafka, topic), await committed(kafka, "tracker", topic))
        await handled.until_ids(events)
        await until_committed(kafka, topic)
        assert session.consumer._coordinator.generation == joined

    assert behind >= 80
    assert max(handled.calls) * 0.1 > 6
    assert sorted(handled.ids) == sorted(event.event_id for event in events)
