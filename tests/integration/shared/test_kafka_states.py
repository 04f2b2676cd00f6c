"""Compacted topics in memory: complete, up to date, and correct again after any failure."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shared.events import CacheRefreshed, Event
from shared.events.topics import Topic
from shared.kafka import Publisher, Record, StateTable
from shared.settings import KafkaSettings
from tests.support.kafka import COMPACTED, fresh_topic, refreshed, running
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.usefixtures("no_kafka_task_is_left")


async def publish(settings: KafkaSettings, topic: Topic, events: Sequence[Event], *deleted: str) -> None:
    publisher = Publisher(settings, "tracker", [topic])
    async with running(publisher):
        for begin in range(0, len(events), 1_000):
            await publisher.publish(topic, events[begin : begin + 1_000], within=PATIENCE)
        tombstones = [Record(key.encode(), None) for key in deleted]
        await publisher.publish_raw(topic.name, tombstones, within=PATIENCE)


def activations(table: StateTable[CacheRefreshed]) -> dict[str, int]:
    return {key: state.activation for key, state in table.states.items()}


async def test_the_newest_state_of_every_key_is_there_once_it_caught_up(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, COMPACTED, partitions=3)
    events = [refreshed(f"t{n % 2_000}", n + 1) for n in range(6_000)]
    await publish(kafka, topic, events, "t7")
    table: StateTable[CacheRefreshed] = StateTable(kafka, topic)

    async with running(table):
        await eventually(lambda: table.caught_up)
        whole = activations(table)

    assert whole == {f"t{n}": n + 4_001 for n in range(2_000) if n != 7}


async def test_an_empty_topic_is_whole_at_once(kafka: KafkaSettings) -> None:
    table: StateTable[CacheRefreshed] = StateTable(kafka, await fresh_topic(kafka, COMPACTED))

    async with running(table):
        await eventually(lambda: table.caught_up)

    assert table.states == {}


async def test_changes_are_followed_and_reported(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, COMPACTED)
    told: list[tuple[str, int | None]] = []
    table: StateTable[CacheRefreshed] = StateTable(
        kafka, topic, lambda key, state: told.append((key, state.activation if state else None))
    )

    async with running(table):
        await eventually(lambda: table.caught_up)
        await publish(kafka, topic, [refreshed("a", 1)])
        await eventually(lambda: activations(table) == {"a": 1})
        await publish(kafka, topic, [refreshed("a", 2)], "unknown")
        await eventually(lambda: activations(table) == {"a": 2})
        await publish(kafka, topic, [], "a")
        await eventually(lambda: activations(table) == {})

    assert told == [("a", 1), ("a", 2), ("a", None)]


async def test_a_complete_read_reports_the_keys_that_exist(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, COMPACTED, partitions=1)
    publisher = Publisher(kafka, "tracker", [topic])
    await publish(kafka, topic, [refreshed("a", 1), refreshed("gone", 1)], "gone", "never seen")
    async with running(publisher):
        await publisher.publish_raw(topic.name, [Record(b"of a newer version", b"{")], within=PATIENCE)
    told: list[set[str]] = []
    table: StateTable[CacheRefreshed] = StateTable(
        kafka, topic, on_complete=lambda keys: told.append(set(keys))
    )

    async with running(table):
        await eventually(lambda: table.caught_up)

    assert told == [{"a", "of a newer version"}]


async def test_every_process_reads_the_whole_topic(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, COMPACTED)
    await publish(kafka, topic, [refreshed(f"t{n}", 1) for n in range(50)])
    tables: list[StateTable[CacheRefreshed]] = [StateTable(kafka, topic) for _ in range(3)]

    async with running(*tables):
        await eventually(lambda: all(table.caught_up for table in tables))

    assert [len(table.states) for table in tables] == [50, 50, 50]


async def test_an_unreadable_state_leaves_the_last_one_in_force(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, COMPACTED, partitions=1)
    await publish(kafka, topic, [refreshed("a", 1), refreshed("b", 1)])
    publisher = Publisher(kafka, "tracker", [topic])
    async with running(publisher):
        await publisher.publish_raw(topic.name, [Record(b"a", b"{")], within=PATIENCE)
    await publish(kafka, topic, [refreshed("b", 2)])
    table: StateTable[CacheRefreshed] = StateTable(kafka, topic)

    async with running(table):
        await eventually(lambda: table.caught_up)

    assert activations(table) == {"a": 1, "b": 2}


async def test_a_state_that_its_listener_fails_for_holds_up_no_other(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, COMPACTED, partitions=1)
    await publish(kafka, topic, [refreshed("bad", 1), refreshed("good", 1)])
    seen: list[str] = []

    def changed(key: str, _: CacheRefreshed | None) -> None:
        if key == "bad":
            raise OverflowError("date value out of range")
        seen.append(key)

    def whole(_: set[str]) -> None:
        raise KeyError("a defect")

    table: StateTable[CacheRefreshed] = StateTable(kafka, topic, changed, whole)
    async with running(table):
        await eventually(lambda: table.caught_up)
        reader = table._session.consumer
        await publish(kafka, topic, [refreshed("bad", 2), refreshed("later", 1)])
        await eventually(lambda: "later" in seen)
        assert (table.alive(), table._session.consumer) == (None, reader), "it reads on"

    assert seen == ["good", "later"]


async def test_only_a_compacted_topic_can_be_a_table(kafka: KafkaSettings) -> None:
    with pytest.raises(ValueError, match="is not compacted"):
        StateTable(kafka, await fresh_topic(kafka))


async def test_a_reader_that_restarts_drops_states_that_were_deleted_meanwhile(kafka: KafkaSettings) -> None:
    """Even if the tombstone itself was compacted away: here the record never comes at all."""
    topic = await fresh_topic(kafka, COMPACTED)
    await publish(kafka, topic, [refreshed("a", 1)])
    table: StateTable[CacheRefreshed] = StateTable(kafka, topic)

    async with running(table):
        await eventually(lambda: table.caught_up)
        table.states["gone"] = refreshed("gone", 1)
        table.caught_up = False
        table._session._end(RuntimeError("a poll failed"))
        await eventually(lambda: table.caught_up)

    assert activations(table) == {"a": 1}
