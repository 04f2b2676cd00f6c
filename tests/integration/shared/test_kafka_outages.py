"""A broker that is stopped, killed or frozen: nothing confirmed is lost, and nobody waits for long."""

from __future__ import annotations

import asyncio

import pytest

from shared.errors import Transient
from shared.events import CacheRefreshed, Event, InteractionRecorded
from shared.kafka import Publisher, Record, StateTable
from shared.kafka.producer import Producer
from tests.integration.shared.kafka_consumers import consumer, publish, until_committed
from tests.integration.shared.kafka_outages import Outage, killed, stopped
from tests.integration.shared.kafka_records import ids
from tests.integration.shared.kafka_watchdogs import Clock, watched
from tests.support.kafka import (
    COMPACTED,
    Broker,
    Collector,
    fresh_topic,
    interaction,
    interactions,
    raw_records,
    refreshed,
    running,
)
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.usefixtures("no_kafka_task_is_left")


async def test_hazard_07_and_11_a_stopped_broker_holds_up_nobody_and_all_go_on_after_it(
    broker: Broker, ended: list[str], clock: Clock
) -> None:
    async def watched_consumer(outage: Outage) -> None:
        await a_watched_consumer_is_not_ended(outage, clock)

    await stopped(
        broker,
        a_publisher_starts_without_it,
        a_consumer_starts_without_it,
        states_wait_without_it_and_stop,
        a_publisher_waits_two_seconds_and_no_more_also_when_stopping,
        a_consumer_stops,
        watched_consumer,
    )

    assert ended == []


async def a_publisher_starts_without_it(outage: Outage) -> None:
    topic = await fresh_topic(outage.settings)
    await outage.begins()
    publisher = Publisher(outage.settings, "tracker", [topic])
    async with outage.at_most(2):
        await publisher.start()
    try:
        assert (publisher.up, publisher.ready()) == (False, "Kafka is not reachable")
        with pytest.raises(Transient, match="not reachable"):
            await publisher.publish(topic, [interaction()], within=0.5)
        await outage.ends()
        await eventually(lambda: publisher.up)
        await publisher.publish(topic, [interaction()], within=PATIENCE)
        assert publisher.ready() is None
    finally:
        await publisher.stop()

    assert len(await raw_records(outage.settings, topic.name)) == 1


async def a_consumer_starts_without_it(outage: Outage) -> None:
    topic, handler = await fresh_topic(outage.settings), Collector()
    await publish(outage.settings, topic, events := interactions(20))
    await outage.begins()
    reader = consumer(outage.settings, topic, handler)
    async with outage.at_most(2):
        await reader.start()
    try:
        await asyncio.sleep(1)
        assert (reader.alive(), reader.ready()) == (None, None), "it only waits"
        await outage.ends()
        await handler.until_ids(events)
    finally:
        await reader.stop()


async def states_wait_without_it_and_stop(outage: Outage) -> None:
    topic = await fresh_topic(outage.settings, COMPACTED)
    await outage.begins()
    table: StateTable[CacheRefreshed] = StateTable(outage.settings, topic)
    async with outage.at_most(4), running(table):
        await asyncio.sleep(1)
        assert (table.ready(), table.alive(), table.caught_up) == (None, None, False)
    await outage.ends()


async def a_publisher_waits_two_seconds_and_no_more_also_when_stopping(outage: Outage) -> None:
    """Two seconds and five, with room for a busy machine; without a bound it would be for ever."""
    topic = await fresh_topic(outage.settings)
    publisher = Publisher(outage.settings, "tracker", [topic])
    await publisher.start()
    await publisher.publish(topic, [interaction()], within=PATIENCE)
    await outage.begins()
    async with outage.at_most(10):
        answers = await asyncio.gather(
            *(publisher.publish(topic, interactions(100)) for _ in range(50)), return_exceptions=True
        )
    async with outage.at_most(15):
        await publisher.stop()
    assert all(isinstance(answer, Transient) for answer in answers)
    await outage.ends()


async def a_consumer_stops(outage: Outage) -> None:
    topic, handler = await fresh_topic(outage.settings), Collector()
    await publish(outage.settings, topic, events := interactions(20))
    reader = consumer(outage.settings, topic, handler)
    await reader.start()
    await handler.until_ids(events)
    await outage.begins()
    async with outage.at_most(8):
        await reader.stop()
    await outage.ends()


async def a_watched_consumer_is_not_ended(outage: Outage, clock: Clock) -> None:
    """No record counts as failed while Kafka is away for longer than a standstill may last."""
    topic, handler = await fresh_topic(outage.settings), Collector()
    await publish(outage.settings, topic, interactions(5))
    # Long enough to find the way back to a broker that has just started, on a busy machine.
    stall_seconds = 20.0
    reader = watched(outage.settings, topic, handler, stall_seconds)
    async with running(reader):
        await handler.until(lambda seen: len(seen.events) == 5)
        await outage.begins()
        clock.ahead += 1.5 * stall_seconds
        passed = clock()
        await eventually(lambda: reader._watchdog._unreachable_at > passed, "the watchdog sees no broker")
        await outage.ends()
        await publish(outage.settings, topic, interactions(5))
        await handler.until(lambda seen: len(seen.events) == 10)


async def test_nothing_confirmed_is_lost_when_the_broker_is_killed(broker: Broker) -> None:
    await killed(broker, clients_publish, a_client_publishes_and_a_consumer_reads, states_stay_in_force)


async def a_client(publisher: Publisher, topic: object, confirmed: list[Event], done: asyncio.Event) -> None:
    """Publish until the end; what is not confirmed is not sent again."""
    while not done.is_set():
        try:
            await publisher.publish(topic, events := interactions(20))  # type: ignore[arg-type]
        except Transient:
            continue
        confirmed.extend(events)
        await asyncio.sleep(0.01)


async def clients_publish(outage: Outage) -> None:
    topic = await fresh_topic(outage.settings)
    publisher = Publisher(outage.settings, "tracker", [topic])
    confirmed, done = list[Event](), asyncio.Event()

    async with running(publisher):
        clients = [asyncio.create_task(a_client(publisher, topic, confirmed, done)) for _ in range(4)]
        await eventually(lambda: len(confirmed) > 500)
        await outage.begins()
        await outage.ends()
        before = len(confirmed)
        await eventually(lambda: len(confirmed) > before + 500)
        done.set()
        await asyncio.gather(*clients)

    stored = set(ids(await raw_records(outage.settings, topic.name)))
    assert {event.event_id for event in confirmed} <= stored, "confirmed is stored"


async def a_client_publishes_and_a_consumer_reads(outage: Outage) -> None:
    topic, handler = await fresh_topic(outage.settings), Collector(seconds=0.01)
    publisher = Publisher(outage.settings, "tracker", [topic])
    confirmed, done = list[Event](), asyncio.Event()

    async with running(publisher, consumer(outage.settings, topic, handler)):
        client = asyncio.create_task(a_client(publisher, topic, confirmed, done))
        await handler.until(lambda seen: len(seen.events) > 500)
        await outage.begins()
        await outage.ends()
        before = len(confirmed)
        await eventually(lambda: len(confirmed) > before + 500)
        done.set()
        await client
        await handler.until_ids(confirmed)
        await until_committed(outage.settings, topic)


async def states_stay_in_force(outage: Outage) -> None:
    topic = await fresh_topic(outage.settings, COMPACTED)
    await publish(outage.settings, topic, [refreshed("a", 1)])
    table: StateTable[CacheRefreshed] = StateTable(outage.settings, topic)

    def activations() -> dict[str, int]:
        return {key: state.activation for key, state in table.states.items()}

    async with running(table):
        await eventually(lambda: table.caught_up)
        await outage.begins()
        assert activations() == {"a": 1}
        await outage.ends()
        await publish(outage.settings, topic, [refreshed("a", 2)])
        await eventually(lambda: activations() == {"a": 2})


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


async def test_a_producer_that_is_silent_for_long_is_replaced(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.kafka.producer.STALL_SECONDS", 1.0)
    topic = await fresh_topic(broker.settings)
    producer = Producer(broker.settings, "tracker")
    record = Record(b"k", b"v")
    await producer.deliver(topic.name, [record], within=PATIENCE)
    first = producer._current
    broker.freeze()
    try:
        delivery = asyncio.create_task(producer.deliver(topic.name, [record], within=PATIENCE))
        await eventually(lambda: producer._current is not first, "the client is replaced")
    finally:
        broker.thaw()
    await delivery
    # The first client may have delivered the record after all, before the next one has connected.
    await eventually(lambda: producer._current is not None, "the next client is connected")
    await producer.stop()
