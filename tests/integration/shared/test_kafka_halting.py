"""A consumer halts at too many bad records in a row, skips none, and goes on by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client import REGISTRY

from shared.errors import Permanent
from shared.kafka import Record, committed
from shared.settings import KafkaSettings
from tests.integration.shared.kafka_consumers import bad_ones, consumer, publish, publish_raw, until_committed
from tests.support.kafka import (
    Collector,
    fresh_topic,
    interaction,
    interactions,
    raw_records,
    running,
    until_dead_letters,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_kafka_task_is_left")


async def test_too_many_bad_records_in_a_row_stop_the_consumer_and_skip_none(kafka: KafkaSettings) -> None:
    topic, handler = await fresh_topic(kafka, partitions=1), Collector()
    good = interactions(3)
    await publish(kafka, topic, good[:1])
    await publish_raw(kafka, topic, *bad_ones(9))
    await publish(kafka, topic, good[1:])
    reader = consumer(kafka, topic, handler, max_consecutive_bad=6)

    async with running(reader):
        await eventually(lambda: reader.ready() is not None)
        said = reader.ready() or ""
        await until_dead_letters(kafka, topic.dlq("tracker"), 5)
        assert reader.alive() is None

    assert topic.dlq("tracker") in said
    assert "6 bad records in a row" in said
    assert handler.ids == [good[0].event_id]
    assert await committed(kafka, "tracker", topic) == {0: 6}, "the sixth bad record is not skipped"

    mended = consumer(kafka, topic, handler, max_consecutive_bad=6)
    async with running(mended):
        await handler.until_ids(good)
        await until_committed(kafka, topic)
    assert len(await raw_records(kafka, topic.dlq("tracker"))) == 9


async def test_what_the_handler_refuses_does_not_stop_the_others(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, partitions=1)
    events = interactions(12)
    taken = events[10:]
    ids = {event.event_id for event in taken}

    def fail(batch: Sequence[Any]) -> Exception | None:
        return None if ids.issuperset(event.event_id for event in batch) else Permanent("no such currency")

    handler = Collector(fail=fail)
    await publish(kafka, topic, events)
    reader = consumer(kafka, topic, handler, max_consecutive_bad=3)

    async with running(reader):
        await handler.until_ids(taken)
        await until_dead_letters(kafka, topic.dlq("tracker"), 10)
        assert reader.ready() is None


async def test_a_consumer_that_stops_amid_a_run_does_not_dead_letter_the_same_records_twice(
    kafka: KafkaSettings,
) -> None:
    topic = await fresh_topic(kafka, partitions=1)
    events = [interaction(tenant=f"shop-{n % 3}") for n in range(8)]
    good = events[0].event_id

    def fail(batch: Sequence[Any]) -> Exception | None:
        return None if [event.event_id for event in batch] == [good] else ZeroDivisionError("a defect")

    await publish(kafka, topic, events)
    reader = consumer(kafka, topic, Collector(fail=fail), max_consecutive_bad=3)
    async with running(reader):
        await eventually(lambda: reader.ready() is not None)

    assert await committed(kafka, "tracker", topic) == {0: 3}, "one was taken and two were buried"
    async with running(consumer(kafka, topic, mended := Collector())):
        await mended.until_ids(events[3:])
    assert mended.ids == [event.event_id for event in events[3:]]
    assert len(await raw_records(kafka, topic.dlq("tracker"))) == 2


async def test_a_halted_consumer_tries_again_by_itself_and_writes_no_further_dead_letters(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.kafka.halting.FIRST_REST_SECONDS", 0.1)
    monkeypatch.setattr("shared.kafka.halting.MAX_REST_SECONDS", 0.2)
    topic, defects = await fresh_topic(kafka, partitions=1), [ZeroDivisionError("a defect")]
    handler = Collector(fail=lambda _: next(iter(defects), None))
    events = [interaction(tenant=f"shop-{n % 3}") for n in range(12)]
    await publish(kafka, topic, events)
    reader = consumer(kafka, topic, handler, max_consecutive_bad=6)
    labels = {"topic": topic.name, "group": "tracker"}

    async with running(reader):
        await eventually(lambda: reader.ready() is not None)
        assert REGISTRY.get_sample_value("endcap_kafka_consumer_halted", labels) == 1
        calls = len(handler.calls)
        await eventually(lambda: len(handler.calls) > calls + 30, "it has tried a few times more")
        assert len(await raw_records(kafka, topic.dlq("tracker"))) == 5
        assert await committed(kafka, "tracker", topic) == {0: 5}
        assert (reader.alive(), handler.ids) == (None, [])

        defects.clear()
        await handler.until_ids(events[5:])
        await until_committed(kafka, topic)
        assert reader.ready() is None

    assert REGISTRY.get_sample_value("endcap_kafka_consumer_halted", labels) == 0
    assert handler.ids == [event.event_id for event in events[5:]], "in order, and none is skipped"
    assert len(await raw_records(kafka, topic.dlq("tracker"))) == 5


async def test_whatever_one_tenant_sends_halts_nobody_else(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, partitions=1)
    broken = [interaction(tenant="noisy", event_type="broken") for _ in range(10)]
    good = [interaction(tenant="other") for _ in range(5)]

    def fail(batch: Sequence[Any]) -> Exception | None:
        return ZeroDivisionError("a defect") if "noisy" in {event.tenant for event in batch} else None

    handler = Collector(fail=fail)
    await publish(kafka, topic, broken)
    await publish_raw(kafka, topic, *[Record(b"noisy:u1", b"{not json")] * 10)
    await publish(kafka, topic, good)
    reader = consumer(kafka, topic, handler, max_consecutive_bad=6)

    async with running(reader):
        await handler.until_ids(good)
        await until_committed(kafka, topic)
        assert (reader.ready(), reader.alive()) == (None, None)

    assert len(await raw_records(kafka, topic.dlq("tracker"))) == 20


async def test_a_good_record_between_bad_ones_begins_the_count_anew(kafka: KafkaSettings) -> None:
    topic, handler = await fresh_topic(kafka, partitions=1), Collector()
    bad = bad_ones(8)
    for n, event in enumerate(events := interactions(4)):
        await publish_raw(kafka, topic, *bad[2 * n : 2 * n + 2])
        await publish(kafka, topic, [event])
    reader = consumer(kafka, topic, handler, max_consecutive_bad=4)

    async with running(reader):
        await handler.until_ids(events)
        assert reader.ready() is None
