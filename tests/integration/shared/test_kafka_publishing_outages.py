"""Publication to a broker that is stopped, frozen or killed: nothing confirmed is lost."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from shared.errors import Transient
from shared.events import InteractionRecorded
from shared.kafka import Publisher, Record
from shared.kafka.producer import Producer
from tests.integration.shared.kafka_records import ids
from tests.support.kafka import Broker, fresh_topic, interaction, interactions, raw_records, running
from tests.support.lateness import lateness
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.usefixtures("no_kafka_task_is_left")


async def test_starting_without_kafka_blocks_nothing_and_sends_once_it_is_there(broker: Broker) -> None:
    topic = await fresh_topic(broker.settings)
    await broker.stop()
    publisher = Publisher(broker.settings, "tracker", [topic])

    async with lateness() as late:
        began = monotonic()
        await publisher.start()
        took = monotonic() - began
    assert took < 2 + late.worst
    try:
        assert (publisher.up, publisher.ready()) == (False, "Kafka is not reachable")
        with pytest.raises(Transient, match="not reachable"):
            await publisher.publish(topic, [interaction()], within=0.5)
        await broker.start()
        await eventually(lambda: publisher.up)
        await publisher.publish(topic, [interaction()], within=PATIENCE)
        assert publisher.ready() is None
    finally:
        await publisher.stop()

    assert len(await raw_records(broker.settings, topic.name)) == 1


async def test_hazard_07_a_dead_broker_costs_two_seconds_and_no_more_also_when_stopping(
    broker: Broker,
) -> None:
    topic = await fresh_topic(broker.settings)
    publisher = Publisher(broker.settings, "tracker", [topic])
    await publisher.start()
    await publisher.publish(topic, [interaction()], within=PATIENCE)
    await broker.stop()
    try:
        async with lateness() as late:
            began = monotonic()
            answers = await asyncio.gather(
                *(publisher.publish(topic, interactions(100)) for _ in range(50)), return_exceptions=True
            )
            waited = monotonic() - began
            began = monotonic()
            await publisher.stop()
            stopped = monotonic() - began
    finally:
        await broker.start()

    assert all(isinstance(answer, Transient) for answer in answers)
    # Two seconds and five, with room for a busy machine; without a bound it would be for ever.
    assert waited < 10 + late.worst
    assert stopped < 15 + late.worst


async def test_hazard_08_after_an_unknown_outcome_the_same_ids_are_sent_again(broker: Broker) -> None:
    topic = await fresh_topic(broker.settings)
    publisher = Publisher(broker.settings, "tracker", [topic])
    events = interactions(100)

    async with running(publisher):
        await publisher.publish(topic, [interaction(event_id="before")], within=PATIENCE)
        broker.freeze()
        try:
            with pytest.raises(Transient):
                await publisher.publish(topic, events, within=1)
            assert not publisher.up
        finally:
            broker.thaw()
        await publish_somehow(publisher, topic, events)
        await eventually(lambda: publisher.up)

    found = ids(await raw_records(broker.settings, topic.name))
    assert set(found) == {"before", *(event.event_id for event in events)}


async def publish_somehow(publisher: Publisher, topic: object, events: list[InteractionRecorded]) -> None:
    """As a client does: again until it is confirmed."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await publisher.publish(topic, events)  # type: ignore[arg-type]
            except Transient:
                await asyncio.sleep(0.05)
            else:
                return


async def test_nothing_confirmed_is_lost_when_the_broker_is_killed_while_publishing(broker: Broker) -> None:
    topic = await fresh_topic(broker.settings)
    publisher = Publisher(broker.settings, "tracker", [topic])
    confirmed: list[str] = []
    stopping = asyncio.Event()

    async def client() -> None:
        while not stopping.is_set():
            events = interactions(20)
            try:
                await publisher.publish(topic, events)
            except Transient:
                continue
            confirmed.extend(event.event_id for event in events)
            await asyncio.sleep(0.01)

    async with running(publisher):
        clients = [asyncio.create_task(client()) for _ in range(4)]
        await eventually(lambda: len(confirmed) > 500)
        broker.kill()
        await asyncio.sleep(1)
        await broker.until_ready()
        before = len(confirmed)
        await eventually(lambda: len(confirmed) > before + 500)
        stopping.set()
        await asyncio.gather(*clients)

    stored = set(ids(await raw_records(broker.settings, topic.name)))
    assert set(confirmed) <= stored, "confirmed is stored"


async def test_a_producer_that_is_silent_for_long_is_replaced(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.kafka.producer.STALL_SECONDS", 2.0)
    topic = await fresh_topic(broker.settings)
    producer = Producer(broker.settings, "tracker")
    record = Record(b"k", b"v")
    await producer.deliver(topic.name, [record], within=PATIENCE)
    first = producer._current
    broker.freeze()
    try:
        with pytest.raises(Transient):
            await producer.deliver(topic.name, [record], within=4)
        assert producer._current is not first
    finally:
        broker.thaw()
    await producer.deliver(topic.name, [record], within=PATIENCE)
    await producer.stop()
