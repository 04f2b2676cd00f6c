"""Consumption from a real broker: every event is handled, whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from itertools import pairwise
from time import monotonic
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import CorruptRecordException
from faststream import AckPolicy
from prometheus_client import REGISTRY

from shared.errors import Permanent, Transient
from shared.events import Event
from shared.events.topics import Topic
from shared.kafka import (
    Consumer,
    Publisher,
    Record,
    adapter,
    committed,
    committed_up_to_end,
    end_offsets,
    missing,
    subscription,
)
from shared.kafka.adapter import PolledConsumer
from shared.kafka.connection import client_options
from shared.observability import tracing
from shared.postgres import Database
from shared.settings import KafkaSettings, PostgresSettings
from tests.support.kafka import (
    NOW,
    STATES,
    Broker,
    Collector,
    fresh_topic,
    interaction,
    interactions,
    raw_records,
    refreshed,
    running,
    until_letters,
)
from tests.support.lateness import lateness
from tests.support.stack import Database as OwnDatabase
from tests.support.waiting import PATIENCE, eventually


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    """Every client that a test made is gone after it, whatever happened to the broker."""
    yield
    assert not [task for task in asyncio.all_tasks() if "aiokafka" in str(task.get_stack(limit=1))]


def consumer(settings: KafkaSettings, topic: Topic, handler: Any, **options: Any) -> Consumer:
    made = Consumer(settings, "tracker", **options)
    made.subscribe(topic, handler)
    return made


async def publish(settings: KafkaSettings, topic: Topic, events: Sequence[Event]) -> None:
    publisher = Publisher(settings, "tracker", [topic])
    async with running(publisher):
        for begin in range(0, len(events), 500):
            await publisher.publish(topic, events[begin : begin + 500], within=PATIENCE)


async def publish_raw(settings: KafkaSettings, topic: Topic, *records: Record) -> None:
    publisher = Publisher(settings, "tracker", [topic])
    async with running(publisher):
        await publisher.publish_raw(topic.name, records, within=PATIENCE)


async def until_committed(settings: KafkaSettings, topic: Topic, group: str = "tracker") -> None:
    await eventually(lambda: committed_up_to_end(settings, group, topic), every=0.1)


BAD = Record(b"shop:u1", b"{not json")


def bad_ones(count: int, tenants: int = 3) -> list[Record]:
    """Records that nobody can read, of so many tenants in turn."""
    return [Record(f"shop-{n % tenants}:u1".encode(), b"{not json") for n in range(count)]


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


async def test_hazard_01_every_subscriber_is_told_to_leave_acknowledging_to_us(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka)
    session = consumer(kafka, topic, Collector()).subscriptions[0].session

    policies = [subscriber.ack_policy for subscriber in session._build().subscribers]

    assert policies == [AckPolicy.MANUAL]


async def test_hazard_01_what_was_not_handled_to_the_end_comes_again(kafka: KafkaSettings) -> None:
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


async def test_hazard_02_a_handler_that_raises_gets_the_same_events_again(kafka: KafkaSettings) -> None:
    topic, failures = await fresh_topic(kafka), iter([Transient("away"), OSError("refused")])
    handler = Collector(fail=lambda _: next(failures, None))
    events = interactions(50)
    await publish(kafka, topic, events)

    async with running(consumer(kafka, topic, handler)):
        await handler.until_ids(events)

    assert sorted(handler.ids) == sorted(event.event_id for event in events), "each once in the end"
    assert await raw_records(kafka, topic.dlq("tracker")) == []


async def test_a_client_whose_commits_have_no_end_is_replaced(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, handler, clients = await fresh_topic(kafka), Collector(), list[PolledConsumer]()
    events = interactions(50)
    await publish(kafka, topic, events)
    await publish_raw(kafka, topic, BAD)
    commit = AIOKafkaConsumer.commit

    async def hangs_in_the_first(client: PolledConsumer, offsets: Any) -> None:
        if client not in clients:
            clients.append(client)
        if client is clients[0]:
            await asyncio.Event().wait()
        await commit(client, offsets)

    monkeypatch.setattr(AIOKafkaConsumer, "commit", hangs_in_the_first)
    monkeypatch.setattr(subscription, "COMMIT_SECONDS", 0.3)
    async with running(consumer(kafka, topic, handler)):
        await until_committed(kafka, topic)

    assert set(handler.ids) == {event.event_id for event in events}
    assert len(clients) > 1
    assert len(await raw_records(kafka, topic.dlq("tracker"))) == 1, "no second letter where it comes again"


async def test_hazard_03_a_failing_batch_over_many_partitions_loses_none_of_them(
    kafka: KafkaSettings,
) -> None:
    topic = await fresh_topic(kafka, partitions=8)
    failures = iter([Transient("away")] * 3)
    handler = Collector(fail=lambda _: next(failures, None))
    events = interactions(400, users=100)
    await publish(kafka, topic, events)

    async with running(consumer(kafka, topic, handler)):
        await handler.until_ids(events)
        await until_committed(kafka, topic)

    assert len(handler.ids) == len(events)


async def test_hazard_04_a_malformed_record_is_buried_once_and_blocks_nobody(kafka: KafkaSettings) -> None:
    topic, handler = await fresh_topic(kafka, partitions=1), Collector()
    before, after = interactions(5), interactions(5)
    await publish(kafka, topic, before)
    await publish_raw(kafka, topic, BAD)
    await publish(kafka, topic, after)

    async with running(consumer(kafka, topic, handler)):
        await handler.until_ids(after)
        await until_committed(kafka, topic)
        await asyncio.sleep(1)

    assert handler.ids == [event.event_id for event in [*before, *after]]
    assert len(handler.calls) == 2
    (letter,) = await raw_records(kafka, topic.dlq("tracker"))
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (BAD.key, BAD.value)
    assert headers.pop("dlq-failed-at")
    assert b"InteractionRecorded" in headers.pop("dlq-reason")
    assert headers == {
        "dlq-error-class": b"not_json",
        "dlq-group": b"tracker",
        "dlq-attempts": b"1",
        "original_topic": topic.name.encode(),
        "original_partition": b"0",
        "original_offset": b"5",
    }


async def test_an_event_that_the_handler_refuses_is_buried_alone(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, partitions=1)
    events = interactions(20)
    refused = {events[3].event_id, events[11].event_id}

    def fail(batch: Sequence[Any]) -> Exception | None:
        bad = refused & {event.event_id for event in batch}
        return Permanent("no such item") if bad else None

    handler = Collector(fail=fail)
    await publish(kafka, topic, events)

    async with running(consumer(kafka, topic, handler)):
        letters = await until_letters(kafka, topic.dlq("tracker"), 2)
        await until_committed(kafka, topic)

    assert handler.ids == [event.event_id for event in events if event.event_id not in refused]
    assert {dict(letter.headers)["ce_id"].decode() for letter in letters} == refused
    assert {dict(letter.headers)["dlq-reason"] for letter in letters} == {b"no such item"}
    assert {dict(letter.headers)["dlq-error-class"] for letter in letters} == {b"Permanent"}


async def test_an_unexpected_error_is_tried_three_times_and_then_buried(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, partitions=1)
    events = interactions(5)
    tries: list[str] = []

    def fail(batch: Sequence[Any]) -> Exception | None:
        if events[2].event_id in {event.event_id for event in batch}:
            tries.extend(event.event_id for event in batch if len(batch) == 1)
            return ZeroDivisionError("a defect")
        return None

    await publish(kafka, topic, events)
    async with running(consumer(kafka, topic, Collector(fail=fail))):
        (letter,) = await until_letters(kafka, topic.dlq("tracker"), 1)

    assert tries == [events[2].event_id] * 3
    assert dict(letter.headers)["dlq-attempts"] == b"3"
    assert dict(letter.headers)["dlq-reason"] == b"ZeroDivisionError('a defect')"


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.UndefinedTableError("not migrated yet"),
        asyncpg.DeadlockDetectedError("busy"),
        ConnectionRefusedError("no Postgres"),
        TimeoutError("slow"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_dependency_that_is_away_buries_nobody(kafka: KafkaSettings, error: Exception) -> None:
    topic, failures = await fresh_topic(kafka), iter([error] * 4)
    handler = Collector(fail=lambda _: next(failures, None))
    events = interactions(20)
    await publish(kafka, topic, events)

    async with running(consumer(kafka, topic, handler)):
        await handler.until_ids(events)

    assert len(handler.calls) == 5
    assert await raw_records(kafka, topic.dlq("tracker")) == []


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
        await until_letters(kafka, topic.dlq("tracker"), 5)
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
        await until_letters(kafka, topic.dlq("tracker"), 10)
        assert reader.ready() is None


async def test_a_consumer_that_stops_amid_a_run_does_not_bury_the_same_records_again(
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


async def test_a_halted_consumer_tries_again_by_itself_and_writes_no_further_letters(
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


REFUSED_BY_POSTGRES: dict[str, tuple[Any, ...]] = {
    "nul": ("\x00", 1, NOW, {}),
    "integer": ("a", 2**31, NOW, {}),
    "time": ("a", 1, datetime.fromisoformat("9999-12-31T23:59:59-14:00"), {}),
    "nul in json": ("a", 1, NOW, {"name": "\x00"}),
    "too long for an index": ("".join(f"{n:x}" for n in range(30_000)), 1, NOW, {}),
    "contradicts a check": ("a", 13, NOW, {}),
    "a text for a number": ("a", "many", NOW, {}),
}


async def test_values_that_postgres_refuses_are_dead_letters_of_their_own(
    kafka: KafkaSettings, empty_database: OwnDatabase
) -> None:
    topic = await fresh_topic(kafka, partitions=1)
    pool = Database(PostgresSettings(database_url=empty_database.url), "public")
    bad = [interaction(item_id=kind) for kind in REFUSED_BY_POSTGRES for _ in range(2)]
    good = interactions(20)
    mixed = [*good[:5], *bad, *good[5:]]

    async def store(batch: Sequence[Any]) -> None:
        async with pool.transaction() as connection:
            for event in batch:
                text, number, at, document = REFUSED_BY_POSTGRES.get(event.item_id, ("a", 1, NOW, {}))
                await connection.execute(
                    "INSERT INTO kept VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                    event.event_id, text, number, at, document,
                )  # fmt: skip

    await publish(kafka, topic, mixed)
    async with running(pool):
        await pool.execute(
            "CREATE TABLE kept (id text PRIMARY KEY, t text, n int CHECK (n <> 13), at timestamptz, d jsonb)"
        )
        await pool.execute("CREATE INDEX ON kept (t)")
        reader = consumer(kafka, topic, store, max_consecutive_bad=3)
        async with running(reader):
            await until_committed(kafka, topic)
            assert (reader.ready(), reader.alive()) == (None, None)
        kept = {row["id"] for row in await pool.fetch("SELECT id FROM kept")}

    letters = await raw_records(kafka, topic.dlq("tracker"))
    assert kept == {event.event_id for event in good}
    assert {dict(letter.headers)["ce_id"].decode() for letter in letters} == {event.event_id for event in bad}
    assert len(letters) == len(bad)
    assert {dict(letter.headers)["dlq-attempts"] for letter in letters} == {b"1", b"3"}, "3 for a check"


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


async def test_an_unknown_version_is_kept_and_is_no_reason_to_stop(kafka: KafkaSettings) -> None:
    topic, handler = await fresh_topic(kafka, partitions=1), Collector()
    later = Record(b"k", b"{}", (("ce_type", b"endcap.InteractionRecorded.v2"),))
    await publish_raw(kafka, topic, *[later] * 8)
    await publish(kafka, topic, events := interactions(1))
    reader = consumer(kafka, topic, handler, max_consecutive_bad=3)

    async with running(reader):
        await handler.until_ids(events)
        letters = await until_letters(kafka, topic.dlq("tracker"), 8)
        assert reader.ready() is None

    assert {dict(letter.headers)["dlq-error-class"] for letter in letters} == {b"unsupported_version"}


async def test_foreign_headers_break_nothing(kafka: KafkaSettings) -> None:
    topic, handler = await fresh_topic(kafka, partitions=1), Collector()
    value = interaction(event_id="e1").model_dump_json().encode()
    odd = (("none", None), ("bytes", b"\xff\xfe"), ("", b""), ("traceparent", b"\xff"), ("traceparent", None))
    await publish_raw(kafka, topic, Record(None, value, odd), Record(b"\xff", value, odd))

    async with running(consumer(kafka, topic, handler)):
        await handler.until(lambda seen: len(seen.events) == 2)

    assert handler.ids == ["e1", "e1"]


async def test_a_bad_record_that_is_too_large_for_a_letter_is_pointed_to(kafka: KafkaSettings) -> None:
    topic, handler = await fresh_topic(kafka, partitions=1), Collector()
    foreign = AIOKafkaProducer(**client_options(kafka, "test"), max_request_size=4_000_000)
    await foreign.start()
    await foreign.send_and_wait(topic.name, b"x" * 2_000_000, key=b"k")
    await foreign.stop()
    await publish(kafka, topic, events := interactions(3))

    async with running(consumer(kafka, topic, handler)):
        await handler.until_ids(events)

    (letter,) = await raw_records(kafka, topic.dlq("tracker"))
    assert (letter.key, letter.value) == (b"k", None)
    assert dict(letter.headers)["original_offset"] == b"0"


async def test_a_tombstone_reaches_the_handler_of_a_compacted_topic(kafka: KafkaSettings) -> None:
    topic, handler = await fresh_topic(kafka, STATES, partitions=1), Collector()
    await publish(kafka, topic, [refreshed("shop", 1)])
    await publish_raw(kafka, topic, Record(b"shop", None))

    async with running(consumer(kafka, topic, handler)):
        await handler.until(lambda seen: len(seen.events) == 2)

    state, gone = handler.events
    assert (state.activation, gone.key, gone.tenant) == (1, "shop", "shop")


async def test_hazard_06_a_rebalance_in_the_middle_of_a_batch_loses_nothing(kafka: KafkaSettings) -> None:
    topic = await fresh_topic(kafka, partitions=6)
    first, second = Collector(seconds=0.05), Collector(seconds=0.05)
    events = interactions(1_500, users=200)
    one = Consumer(kafka, "tracker")

    async def publish_until_the_second_reads() -> bool:
        batch = interactions(100, users=200)
        events.extend(batch)
        await publish(kafka, topic, batch)
        return len(second.events) > 100

    one.subscribe(topic, first, batch=50)

    async with running(one):
        await publish(kafka, topic, events)
        await first.until(lambda seen: len(seen.events) > 100)
        two = Consumer(kafka, "tracker")
        two.subscribe(topic, second, batch=50)
        async with running(two):
            await eventually(publish_until_the_second_reads, every=0.05)
        last = interactions(500, users=200)
        events += last
        await publish(kafka, topic, last)
        wanted = {event.event_id for event in events}
        await eventually(lambda: wanted <= {*first.ids, *second.ids})
        await until_committed(kafka, topic)


async def test_hazard_13_a_rebalance_during_a_database_write_loses_and_doubles_nothing(
    kafka: KafkaSettings, empty_database: OwnDatabase
) -> None:
    topic = await fresh_topic(kafka, partitions=6)
    events = interactions(1_500, users=200)
    pool = Database(PostgresSettings(database_url=empty_database.url), "public")

    async def store(batch: Sequence[Any]) -> None:
        async with pool.transaction() as connection:
            await connection.execute(
                "INSERT INTO kept (id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
                [event.event_id for event in batch],
            )
            await connection.execute("SELECT pg_sleep(0.05)")

    def reader() -> Consumer:
        made = Consumer(kafka, "tracker")
        made.subscribe(topic, store, batch=50)
        return made

    await publish(kafka, topic, events)
    async with running(pool):
        await pool.execute("CREATE TABLE kept (id text PRIMARY KEY)")
        async with running(reader()):
            for _ in range(2):
                async with running(reader()):
                    await asyncio.sleep(0.5)
            await until_committed(kafka, topic)
        kept = {row["id"] for row in await pool.fetch("SELECT id FROM kept")}

    assert kept == {event.event_id for event in events}


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


async def test_a_failing_poll_does_not_skip_what_it_had_taken_from_other_partitions(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, handler = await fresh_topic(kafka), Collector()
    await publish(kafka, topic, events := interactions(200))
    poll, failures = AIOKafkaConsumer.getmany, iter([CorruptRecordException("bad CRC")])

    async def getmany(self: AIOKafkaConsumer, *partitions: Any, **options: Any) -> Any:
        found = await poll(self, *partitions, **options)
        if found and (error := next(failures, None)) is not None:
            raise error
        return found

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", getmany)
    async with running(consumer(kafka, topic, handler)):
        await handler.until_ids(events)
        await until_committed(kafka, topic)


async def test_a_defect_between_faststream_and_handler_skips_nothing(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastStream swallows what is raised there and would go on with the next poll."""
    topic, handler = await fresh_topic(kafka), Collector()
    await publish(kafka, topic, events := interactions(200))
    reader = consumer(kafka, topic, handler)
    session = reader.subscriptions[0].session
    parse, failures = session._parsed, iter([UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd header")])

    async def parsed(records: Any) -> Any:
        if (error := next(failures, None)) is not None:
            raise error
        return await parse(records)

    monkeypatch.setattr(session, "_parsed", parsed)
    async with running(reader):
        await handler.until_ids(events)
        await until_committed(kafka, topic)


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
