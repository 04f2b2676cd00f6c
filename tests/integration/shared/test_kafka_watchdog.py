"""A consumer that stands still ends its process; one that waits for a reason does not."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from prometheus_client import REGISTRY

from shared.errors import Transient
from shared.events.topics import Topic
from shared.kafka import Consumer, Publisher, adapter
from shared.settings import KafkaSettings
from tests.integration.shared.kafka_watchdogs import STALL_SECONDS, watched
from tests.support.kafka import Collector, fresh_topic, interactions, kafka_environment, running
from tests.support.waiting import PATIENCE, eventually

ROOT = Path(__file__).parents[3]


async def publish(settings: KafkaSettings, topic: Topic, count: int) -> None:
    publisher = Publisher(settings, "tracker", [topic])
    async with running(publisher):
        await publisher.publish(topic, interactions(count), within=PATIENCE)


async def hangs(_: Sequence[Any]) -> None:
    await asyncio.Event().wait()


async def test_hazard_10_a_handler_that_hangs_ends_the_process(
    kafka: KafkaSettings, ended: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "GRACE_SECONDS", 0.2)
    topic = await fresh_topic(kafka)
    await publish(kafka, topic, 5)

    async with running(watched(kafka, topic, hangs)):
        await eventually(lambda: bool(ended))

    assert f"tracker has not polled {topic.name}" in ended[0]


async def test_hazard_10_a_poll_that_hangs_ends_the_process(
    kafka: KafkaSettings, ended: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await fresh_topic(kafka)

    async def getmany(self: AIOKafkaConsumer, *_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", getmany)
    async with running(watched(kafka, topic, Collector())):
        await eventually(lambda: bool(ended))

    assert "has not polled" in ended[0]


async def test_hazard_10_a_poll_that_never_finds_what_is_there_ends_the_process(
    kafka: KafkaSettings, ended: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await fresh_topic(kafka)
    await publish(kafka, topic, 7)

    async def getmany(self: AIOKafkaConsumer, *_: Any, **__: Any) -> dict[Any, Any]:
        await asyncio.sleep(0.1)
        return {}

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", getmany)
    async with running(watched(kafka, topic, Collector())):
        await eventually(lambda: bool(ended))

    assert "gets none of 7 records" in ended[0]


async def test_who_waits_for_a_dependency_or_for_events_goes_on_waiting(
    kafka: KafkaSettings, ended: list[str]
) -> None:
    busy, idle = await fresh_topic(kafka), await fresh_topic(kafka)
    await publish(kafka, busy, 5)
    waiting = Collector(fail=lambda _: Transient("Postgres is away"))

    async with running(watched(kafka, busy, waiting), watched(kafka, idle, Collector())):
        await asyncio.sleep(3 * STALL_SECONDS)
        lag = REGISTRY.get_sample_value("endcap_kafka_consumer_lag", {"topic": busy.name, "group": "tracker"})

    assert ended == []
    assert lag == 5
    assert len(waiting.calls) > 3


PROGRAM = """
import asyncio, sys
from dataclasses import replace
from shared.events.topics import INTERACTIONS
from shared.kafka import Consumer, adapter
from shared.settings import KafkaSettings

topic = replace(INTERACTIONS, name=sys.argv[1])
# The group waits for a session after a kill; Kafka allows no shorter one.
adapter.CONSUMER_OPTIONS["session_timeout_ms"] = 6_000

async def handler(events):
    for event in events:
        print(event.event_id, flush=True)
        await asyncio.sleep({seconds})

async def main():
    consumer = Consumer(KafkaSettings(), "tracker", stall_seconds={stall})
    consumer.subscribe(topic, handler, batch=20)
    await consumer.start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def process(settings: KafkaSettings, topic: Topic, **values: float) -> asyncio.subprocess.Process:
    """A consumer in a process of its own, which prints what it handles."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM.format(**values),
        topic.name,
        cwd=ROOT,
        env={**os.environ, **kafka_environment(settings)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def test_hazard_10_the_process_really_ends(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka)
    await publish(kafka, topic, 5)
    consumer = await process(kafka, topic, seconds=3600, stall=STALL_SECONDS)

    async with asyncio.timeout(PATIENCE):
        assert await consumer.wait() == 1


async def test_hazard_14_what_a_killed_process_had_is_handled_by_the_next(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka)
    events = interactions(400)
    publisher = Publisher(kafka, "tracker", [topic])
    async with running(publisher):
        await publisher.publish(topic, events, within=PATIENCE)
    handled: set[str] = set()

    consumer = await process(kafka, topic, seconds=0.002, stall=60)
    assert consumer.stdout is not None
    for _ in range(150):
        line = (await consumer.stdout.readline()).decode().strip()
        if line.partition(":")[2].isdigit():
            handled.add(line)
    consumer.kill()
    await consumer.wait()
    handler, last = Collector(), Consumer(kafka, "tracker")
    last.subscribe(topic, handler)
    async with running(last):
        # The group first waits until the session of the killed member has run out.
        await eventually(lambda: {*handled, *handler.ids} >= {event.event_id for event in events})
