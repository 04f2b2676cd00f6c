"""Consumption from a broker that is stopped or killed."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from shared.errors import Transient
from shared.events import Event
from shared.kafka import Publisher
from tests.integration.shared.kafka_consumers import consumer, publish, until_committed
from tests.support.kafka import Broker, Collector, fresh_topic, interactions, running
from tests.support.lateness import lateness
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_kafka_task_is_left")


async def test_starting_without_kafka_blocks_nothing_and_reads_once_it_is_there(broker: Broker) -> None:
    topic, handler = await fresh_topic(broker.settings), Collector()
    await publish(broker.settings, topic, events := interactions(20))
    await broker.stop()
    reader = consumer(broker.settings, topic, handler)

    async with lateness() as late:
        began = monotonic()
        await reader.start()
        took = monotonic() - began
    assert took < 2 + late.worst
    try:
        await asyncio.sleep(1)
        assert (reader.alive(), reader.ready()) == (None, None), "it only waits"
        await broker.start()
        await handler.until_ids(events)
    finally:
        await reader.stop()


async def test_nothing_confirmed_is_lost_when_the_broker_is_killed_while_consuming(broker: Broker) -> None:
    topic, handler = await fresh_topic(broker.settings), Collector(seconds=0.01)
    publisher = Publisher(broker.settings, "tracker", [topic])
    confirmed: list[Event] = []
    stopping = asyncio.Event()

    async def client() -> None:
        while not stopping.is_set():
            try:
                await publisher.publish(topic, events := interactions(20))
            except Transient:
                continue
            confirmed.extend(events)
            await asyncio.sleep(0.01)

    async with running(publisher, consumer(broker.settings, topic, handler)):
        task = asyncio.create_task(client())
        await handler.until(lambda seen: len(seen.events) > 500)
        broker.kill()
        await asyncio.sleep(1)
        await broker.until_ready()
        before = len(confirmed)
        await eventually(lambda: len(confirmed) > before + 500)
        stopping.set()
        await task
        await handler.until_ids(confirmed)
        await until_committed(broker.settings, topic)


async def test_hazard_07_stopping_is_bounded_while_the_broker_is_dead(broker: Broker) -> None:
    topic, handler = await fresh_topic(broker.settings), Collector()
    await publish(broker.settings, topic, events := interactions(20))
    reader = consumer(broker.settings, topic, handler)
    await reader.start()
    await handler.until_ids(events)
    await broker.stop()
    try:
        async with lateness() as late:
            began = monotonic()
            await reader.stop()
            stopped = monotonic() - began
    finally:
        await broker.start()

    assert stopped < 8 + late.worst
