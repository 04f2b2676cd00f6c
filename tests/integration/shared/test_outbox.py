"""The outbox: no event without its row, no row without its event, in order per key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared import outbox
from shared.errors import Permanent
from shared.events import CacheRefreshed, InteractionRecorded
from shared.kafka import Publisher, StateTable, encoded
from shared.kafka.connection import client_options
from shared.outbox import Relay
from shared.postgres import Database
from shared.settings import KafkaSettings
from tests.integration.shared.databases import OUTBOX, pool_on
from tests.integration.shared.outbox_rows import append, pending, until_relayed
from tests.support.kafka import (
    COMPACTED,
    fresh_topic,
    interaction,
    interactions,
    raw_records,
    refreshed,
    running,
)
from tests.support.stack import Database as OwnDatabase
from tests.support.waiting import PATIENCE, eventually


@pytest_asyncio.fixture
async def pool(empty_database: OwnDatabase, tmp_path: Path) -> AsyncIterator[Database]:
    async with pool_on(empty_database.url, tmp_path, OUTBOX) as database:
        yield database


async def test_an_event_is_published_if_and_only_if_its_transaction_commits(
    kafka: KafkaSettings, pool: Database
) -> None:
    topic = await fresh_topic(kafka)
    kept, lost = interaction(), interaction()
    publisher = Publisher(kafka, "tracker", [topic])

    async with running(publisher, Relay(pool, publisher)):
        with suppress(ZeroDivisionError):
            async with pool.transaction() as connection:
                await outbox.append(connection, topic, [lost])
                1 / 0  # noqa: B018 - any error rolls back
        await append(pool, topic, kept)
        await until_relayed(pool)

    (record,) = await raw_records(kafka, topic.name)
    assert InteractionRecorded.model_validate_json(record.value) == kept


async def test_a_relayed_record_is_the_one_that_a_publisher_would_have_sent(
    kafka: KafkaSettings, pool: Database
) -> None:
    topic = await fresh_topic(kafka)
    event = interaction("ü1", properties={"a": None, "b": 0.1, "c": "ß"})
    publisher = Publisher(kafka, "tracker", [topic])

    async with running(publisher, Relay(pool, publisher)):
        await publisher.publish(topic, [event], within=PATIENCE)
        await append(pool, topic, event)
        await until_relayed(pool)

    direct, relayed = await raw_records(kafka, topic.name)
    assert (relayed.key, relayed.partition) == (direct.key, direct.partition)
    assert orjson.loads(relayed.value) == orjson.loads(direct.value)
    drop = {"traceparent"}
    assert {name: value for name, value in relayed.headers if name not in drop} == {
        name: value for name, value in direct.headers if name not in drop
    }


async def test_order_per_key_is_that_of_the_transactions(kafka: KafkaSettings, pool: Database) -> None:
    topic = await fresh_topic(kafka)
    events = interactions(3_000, users=20)
    publisher = Publisher(kafka, "tracker", [topic])

    async with running(publisher, Relay(pool, publisher, batch=170)):
        for begin in range(0, len(events), 100):
            await append(pool, topic, *events[begin : begin + 100])
        await until_relayed(pool)

    by_user: dict[str, list[str]] = {}
    for record in await raw_records(kafka, topic.name):
        event = InteractionRecorded.model_validate_json(record.value)
        by_user.setdefault(event.subject, []).append(event.event_id.partition(":")[2])
    assert sum(map(len, by_user.values())) == len(events)
    assert all(ids == sorted(ids) for ids in by_user.values())


async def test_a_deleted_state_becomes_a_tombstone(kafka: KafkaSettings, pool: Database) -> None:
    topic = await fresh_topic(kafka, COMPACTED)
    publisher = Publisher(kafka, "tracker", [topic])
    table: StateTable[CacheRefreshed] = StateTable(kafka, topic)

    async with running(publisher, Relay(pool, publisher), table):
        async with pool.transaction() as connection:
            await outbox.append(connection, topic, [refreshed("a", 1), refreshed("b", 1)])
        await eventually(lambda: set(table.states) == {"a", "b"})
        async with pool.transaction() as connection:
            await outbox.append_tombstone(connection, topic, "a", "a")
        await eventually(lambda: set(table.states) == {"b"})


async def test_two_relays_take_turns_and_keep_the_order(kafka: KafkaSettings, pool: Database) -> None:
    topic = await fresh_topic(kafka)
    events = interactions(2_000, users=10)
    first, second = (Publisher(kafka, "tracker", [topic]) for _ in range(2))

    async with running(first, second, Relay(pool, first, batch=50), Relay(pool, second, batch=50)):
        for begin in range(0, len(events), 50):
            await append(pool, topic, *events[begin : begin + 50])
        await until_relayed(pool)

    numbers: dict[bytes, list[str]] = {}
    records = await raw_records(kafka, topic.name)
    for record in records:
        event = InteractionRecorded.model_validate_json(record.value)
        numbers.setdefault(record.key, []).append(event.event_id.partition(":")[2])
    assert len(records) == len(events), "none is published twice while nobody dies"
    assert all(ids == sorted(ids) for ids in numbers.values())


async def test_readiness_names_a_topic_that_the_relay_does_not_publish(
    kafka: KafkaSettings, pool: Database
) -> None:
    topic, other = await fresh_topic(kafka), await fresh_topic(kafka)
    publisher = Publisher(kafka, "tracker", [other])
    relay = Relay(pool, publisher)

    async with running(publisher, relay):
        await append(pool, topic, interaction())
        await eventually(lambda: relay.ready() is not None)

    assert topic.name in (relay.ready() or "")
    assert await pending(pool) == 1


async def test_an_event_that_kafka_would_refuse_is_refused_before_it_is_in_the_way(
    kafka: KafkaSettings, pool: Database
) -> None:
    topic = await fresh_topic(kafka)

    with pytest.raises(Permanent, match="900000 bytes"):
        await append(pool, topic, interaction(properties={"text": "x" * 1_000_000}))

    assert await pending(pool) == 0


@pytest.mark.parametrize("too_large_for", ["kafka", "the topic"])
async def test_a_row_that_kafka_refuses_is_set_aside_and_the_others_go_on(
    kafka: KafkaSettings, pool: Database, too_large_for: str
) -> None:
    topic = await fresh_topic(kafka)
    events = interactions(40, users=4)
    large = interaction(properties={"text": "x" * 300_000})
    if too_large_for == "the topic":
        await set_topic_config(kafka, topic.name, {"max.message.bytes": "200000"})
    await append(pool, topic, *events[:20], large, *events[20:])
    if too_large_for == "kafka":
        # What no service appends, since `append` measures.
        await pool.execute(
            "UPDATE outbox SET payload = json_build_object('text', repeat('x', 1100000)) WHERE id = $1",
            large.event_id,
        )
    publisher = Publisher(kafka, "tracker", [topic])
    relay = Relay(pool, publisher)

    async with running(publisher, relay):
        await until_relayed(pool)
        await append(pool, topic, interaction(event_id="later"))
        await until_relayed(pool)

    published = [
        InteractionRecorded.model_validate_json(record.value).event_id
        for record in await raw_records(kafka, topic.name)
    ]
    (aside,) = await pool.fetch("SELECT id, aggregatetype, reason FROM outbox_set_aside")
    assert set(published) == {event.event_id for event in events} | {"later"}
    assert (aside["id"], aside["aggregatetype"]) == (large.event_id, topic.name)
    assert "bytes" in aside["reason"]
    assert relay.ready() is None


async def set_topic_config(kafka: KafkaSettings, topic: str, values: dict[str, str]) -> None:
    """Change what a broker says of a topic."""
    admin = AIOKafkaAdminClient(**client_options(kafka, "test"))
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=values)])
    finally:
        await admin.close()


async def test_an_event_is_published_with_the_text_that_was_measured(
    kafka: KafkaSettings, pool: Database
) -> None:
    topic = await fresh_topic(kafka)
    # As jsonb each of these numbers would become one of 301 digits: 1.2 MB in place of 24 kB.
    event = interaction(properties={"numbers": [1e300] * 4_000})
    publisher = Publisher(kafka, "tracker", [topic])

    async with running(publisher, Relay(pool, publisher)):
        await append(pool, topic, event)
        await until_relayed(pool)

    (record,) = await raw_records(kafka, topic.name)
    assert record.value == encoded(event, "outbox", "").value
