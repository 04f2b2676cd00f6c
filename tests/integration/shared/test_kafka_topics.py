"""Creation of topics and replay of dead letters, as an operator runs them."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.errors import EndcapError, Permanent, Transient
from shared.events.topics import CACHES, INTERACTIONS, TOPICS, Topic
from shared.kafka import Consumer, Publisher, Record
from shared.kafka.connection import client_options
from shared.kafka.producer import Producer
from shared.kafka.replay import replay
from shared.kafka.topics import make_topics, topic_specs
from shared.settings import KafkaSettings
from tests.support.kafka import (
    Collector,
    fresh_topic,
    interactions,
    kafka_environment,
    raw_records,
    running,
    until_dead_letters,
)
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[3]


async def command(settings: KafkaSettings, *arguments: str) -> tuple[int, str, str]:
    """Run `python -m shared.kafka`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "shared.kafka",
        *arguments,
        cwd=ROOT,
        env={**os.environ, **kafka_environment(settings), "LOG_LEVEL": "ERROR"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def configs(settings: KafkaSettings, topic: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(**client_options(settings, "test"))
    await admin.start()
    try:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    finally:
        await admin.close()
    (resource,) = answer.to_object()["resources"]
    return {entry["config_names"]: entry["config_value"] for entry in resource["config_entries"]}


async def test_the_command_makes_what_the_registry_says_and_can_be_repeated(kafka: KafkaSettings) -> None:
    status, out, err = await command(kafka, "topics")

    assert (status, out, err) == (0, "topics: all there\n", "")
    admin = AIOKafkaAdminClient(**client_options(kafka, "test"))
    await admin.start()
    try:
        described = await admin.describe_topics([one.name for one in topic_specs(TOPICS)])
    finally:
        await admin.close()
    assert {topic["topic"]: len(topic["partitions"]) for topic in described} == {
        one.name: one.partitions for one in topic_specs(TOPICS)
    }


async def test_events_are_retained_states_are_compacted_and_dead_letters_have_room(
    kafka: KafkaSettings,
) -> None:
    facts, states, letters = await asyncio.gather(
        configs(kafka, INTERACTIONS.name),
        configs(kafka, CACHES.name),
        configs(kafka, INTERACTIONS.dlq("tracker")),
    )

    fortnight = str(14 * 24 * 60 * 60 * 1000)
    assert (facts["cleanup.policy"], facts["retention.ms"]) == ("delete", fortnight)
    assert states["cleanup.policy"] == "compact"
    assert (letters["cleanup.policy"], letters["retention.ms"]) == ("delete", fortnight)
    assert int(letters["max.message.bytes"]) > 1_000_000


async def test_a_topic_that_differs_is_reported_and_left_alone(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, partitions=2)

    with pytest.raises(Permanent, match=r"has 2 partitions and cleanup\.policy delete, the registry says 3"):
        await make_topics(kafka, [replace(topic, partitions=3)])
    with pytest.raises(Permanent, match="says 2 and compact"):
        await make_topics(kafka, [replace(topic, retention=None)])
    longer = replace(topic, retention=timedelta(days=30))
    assert await make_topics(kafka, [longer]) == [], "another retention is the operator's choice"


async def test_without_kafka_it_waits_and_then_says_so() -> None:
    away = KafkaSettings(kafka_bootstrap_servers="127.0.0.1:9")

    with pytest.raises(Transient, match=r"127\.0\.0\.1:9"):
        await make_topics(away, TOPICS, patience=1)
    status, out, err = await command(away, "topics", "--patience", "0.5")
    assert (status, out) == (1, "")
    assert err.startswith("Kafka at 127.0.0.1:9 did not create the topics")


async def buried(settings: KafkaSettings, topic: Topic, handler: Collector, count: int) -> None:
    """Have a consumer put `count` records into the dead-letter topic."""
    reader = Consumer(settings, "tracker")
    reader.subscribe(topic, handler)
    async with running(reader):
        await until_dead_letters(settings, topic.dlq("tracker"), count)


async def test_dead_letters_are_replayed_as_they_were_and_once(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka)
    events = interactions(12, users=5)
    publisher = Publisher(kafka, "tracker", [topic])
    async with running(publisher):
        await publisher.publish(topic, events, within=PATIENCE)
    before = await raw_records(kafka, topic.name)
    refusing = Collector(fail=lambda _: Permanent("no"))
    await buried(kafka, topic, refusing, len(events))

    first = await command(kafka, "replay", topic.dlq("tracker"), "--limit", "5")
    second = await command(kafka, "replay", topic.dlq("tracker"))
    name = topic.dlq("tracker")
    assert [first, second] == [(0, f"{name}: 5 replayed\n", ""), (0, f"{name}: 7 replayed\n", "")]
    assert await replay(kafka, name) == 0

    def content(records: Sequence[Any]) -> list[tuple[Any, ...]]:
        return sorted((one.partition, one.key, one.value, tuple(one.headers)) for one in records)

    after = await raw_records(kafka, topic.name)
    assert content(after) == content([*before, *before])
    accepting = Collector()
    reader = Consumer(kafka, "tracker")
    reader.subscribe(topic, accepting)
    async with running(reader):
        await accepting.until_ids(events)


async def test_a_record_with_two_dead_letters_is_replayed_once(kafka: KafkaSettings) -> None:
    """Its consumer ended between the letter and the commit."""
    topic = await fresh_topic(kafka, partitions=1)
    publisher = Publisher(kafka, "tracker", [topic])
    async with running(publisher):
        await publisher.publish(topic, interactions(1), within=PATIENCE)
    await buried(kafka, topic, Collector(fail=lambda _: Permanent("no")), 1)
    (letter,) = await raw_records(kafka, topic.dlq("tracker"))
    producer = Producer(kafka, "test")
    await producer.deliver(
        topic.dlq("tracker"), [Record(letter.key, letter.value, tuple(letter.headers))], PATIENCE
    )
    await producer.stop()

    await replay(kafka, topic.dlq("tracker"))

    assert len(await raw_records(kafka, topic.name)) == 2, "the record, and its replay"


async def test_a_replayed_record_that_fails_again_is_a_dead_letter_again(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, partitions=1)
    publisher = Publisher(kafka, "tracker", [topic])
    async with running(publisher):
        await publisher.publish_raw(topic.name, [Record(b"k", b"{bad", (("x", b"\xff"),))], within=PATIENCE)
    await buried(kafka, topic, Collector(), 1)

    await replay(kafka, topic.dlq("tracker"))
    await buried(kafka, topic, Collector(), 2)

    first, second = await raw_records(kafka, topic.dlq("tracker"))
    assert (first.key, first.value) == (second.key, second.value) == (b"k", b"{bad")
    assert [name for name, _ in first.headers] == [name for name, _ in second.headers]
    assert dict(second.headers)["original_offset"] == b"1"


async def test_only_dead_letters_can_be_replayed(kafka: KafkaSettings) -> None:
    status, _, err = await command(kafka, "replay", "interactions-v1")

    assert status == 1
    assert "interactions-v1 is not a dead-letter topic" in err
    with pytest.raises(EndcapError):
        await replay(kafka, f"no-{uuid.uuid4().hex}-dlq")
