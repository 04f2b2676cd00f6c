"""The event lake on a real object store: each record once, without erased users, and readable by SQL."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pyarrow as pa
import pytest

from services.analytics.domain.lake_tables import BY_NAME, rows_of
from services.analytics.domain.sql import checked
from services.analytics.store import Lake, LakeMaintenance, LakeWriter, QueryRunner, lake_files
from shared.errors import ApiError, Transient
from shared.events import Event, OrderLine, OrderPlaced
from shared.kafka import Positioned
from shared.s3 import client
from tests.integration.analytics.conftest import Analytics
from tests.integration.analytics.test_erasures import event, record
from tests.support.stack import Database as OwnDatabase
from tests.support.waiting import eventually

INTERACTIONS = BY_NAME["interactions"]


@pytest.fixture
def tenant() -> str:
    return f"t-{uuid.uuid4().hex[:12]}"


def placed(events: Sequence[Event], partition: int = 3, begin: int = 0) -> list[Positioned]:
    """Events as records of one partition."""
    return [Positioned(each, partition, begin + number) for number, each in enumerate(events)]


async def ids(analytics: Analytics, tenant: str, name: str = "interactions") -> list[str]:
    return sorted(await asyncio.to_thread(analytics.lake.ids, tenant, BY_NAME[name]))


async def test_a_record_that_comes_twice_is_stored_once(analytics: Analytics, tenant: str) -> None:
    events = [event(tenant, "view", number, user_id="ann") for number in range(4)]
    records = placed(events)
    other_partition = placed([event(tenant, "view", 9, user_id="bob")], partition=5)

    await analytics.writer.write(INTERACTIONS, records[:2])
    await analytics.writer.write(INTERACTIONS, records)  # the worker died before it committed
    await analytics.writer.write(INTERACTIONS, [*other_partition, *records[:1]])

    assert await ids(analytics, tenant) == sorted(
        [*(each.event_id for each in events), other_partition[0].event.event_id]
    )


async def test_writers_that_take_turns_store_each_record_once(analytics: Analytics, tenant: str) -> None:
    """Each keeps the table open between its appends, as two replicas whose partitions move do."""
    records = placed([event(tenant, "view", number, user_id="ann") for number in range(4)])
    writers = [analytics.writer, LakeWriter(analytics.database, Lake(analytics.settings.s3))]

    for number in range(1, 5):
        await writers[number % 2].write(INTERACTIONS, records[:number])

    assert await ids(analytics, tenant) == sorted(each.event.event_id for each in records)


async def test_a_table_that_was_deleted_begins_anew(analytics: Analytics, tenant: str) -> None:
    first, second = placed([event(tenant, "view", number, user_id="ann") for number in range(2)])
    await analytics.writer.write(INTERACTIONS, [first])
    bucket, objects = analytics.settings.s3.endcap_data_bucket, client(analytics.settings.s3)
    for each in objects.list_objects_v2(Bucket=bucket, Prefix=f"{tenant}/")["Contents"]:
        objects.delete_object(Bucket=bucket, Key=each["Key"])

    await analytics.writer.write(INTERACTIONS, [second])

    assert await ids(analytics, tenant) == [second.event.event_id]


async def test_a_table_of_an_earlier_release_gets_new_columns(analytics: Analytics, tenant: str) -> None:
    table, lake = BY_NAME["servings"], analytics.lake
    earlier = [column for column in table.schema if column.name not in {"propensity", "scores"}]
    await asyncio.to_thread(lake._create, replace(table, schema=pa.schema(earlier)), tenant)
    answered = record(tenant)
    (answer,) = answered.servings
    answer = answer.model_copy(update={"propensity": 0.25, "scores": (0.5,)})
    await analytics.writer.write(table, placed([answered.model_copy(update={"servings": (answer,)})]))

    target = await asyncio.to_thread(lake.open, tenant, "servings")
    rows = await asyncio.to_thread(
        lambda: target.to_pyarrow_dataset().to_table(columns=["propensity", "scores"]).to_pylist()
    )
    assert rows == [{"propensity": 0.25, "scores": [0.5]}]


async def test_a_writer_that_was_overtaken_adds_nothing(analytics: Analytics, tenant: str) -> None:
    """A paused worker whose partitions another one has taken over reads the table first and commits last."""
    lake = analytics.lake
    records = placed([event(tenant, "view", 1, user_id="ann")])
    await analytics.writer.write(INTERACTIONS, records)
    rows = rows_of(INTERACTIONS, event(tenant, "view", 2, user_id="ann"), 3, 1)
    paused = lake.open(tenant, "interactions")
    assert lake.append(INTERACTIONS, tenant, rows, {3: 1}) == 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake, "_to_write", lambda *_: paused)
        with pytest.raises(Transient):
            lake.append(INTERACTIONS, tenant, rows, {3: 1})

    assert len(await ids(analytics, tenant)) == 2


async def test_maintenance_joins_files_and_removes_repeated_rows(analytics: Analytics, tenant: str) -> None:
    line = event(tenant, "purchase", 1, user_id="ann", event_id="line", source="order")
    claim = line.model_copy(update={"source": "events"})
    view = event(tenant, "view", 2, user_id="ann", event_id="view")
    for number, each in enumerate((claim, view, line, view)):
        await analytics.writer.write(INTERACTIONS, placed([each], begin=number))
    old = event(tenant, "view", 0, user_id="ann", occurred_at=datetime(2001, 1, 1, tzinfo=UTC))
    history = event(
        tenant, "view", 0, user_id="ann", event_id="history", occurred_at=old.occurred_at, historical=True
    )
    await analytics.writer.write(INTERACTIONS, placed([old, history], begin=4))

    maintenance = LakeMaintenance(analytics.database, analytics.lake, analytics.settings)
    maintained = await maintenance.maintain(tenant, "interactions")
    assert (maintained["repeated"], maintained["expired"]) == (2, 1)

    table = analytics.lake.open(tenant, "interactions")
    rows = table.to_pyarrow_table(columns=["event_id", "source"]).to_pylist()
    assert sorted((row["event_id"], row["source"]) for row in rows) == [
        ("history", "events"),
        ("line", "order"),
        ("view", "events"),
    ]
    assert len(table.file_uris()) == 2
    # Offsets are kept: what was read before stays out.
    await analytics.writer.write(INTERACTIONS, placed([view], begin=3))
    assert len(await ids(analytics, tenant)) == 3
    settings = analytics.settings.model_copy(update={"lake_history_days": 15})
    maintenance = LakeMaintenance(analytics.database, analytics.lake, settings)
    assert (await maintenance.maintain(tenant, "interactions"))["expired"] == 1


async def test_many_new_files_are_joined_before_the_night(analytics: Analytics, tenant: str) -> None:
    """The table of an import has files of many days: days with a single file are left alone."""

    def days(begin: int, count: int) -> list[Positioned]:
        first = datetime(2001, 1, 1, tzinfo=UTC)
        views = [
            event(tenant, "view", day, user_id="ann", occurred_at=first + timedelta(days=day))
            for day in range(count)
        ]
        return placed(views, begin=begin)

    async def files() -> int:
        table = await asyncio.to_thread(analytics.lake.open, tenant, "interactions")
        return len(table.file_uris())

    settings = analytics.settings.model_copy(update={"lake_files": 6})
    maintenance = LakeMaintenance(analytics.database, analytics.lake, settings)
    for begin in (0, 3):
        await analytics.writer.write(INTERACTIONS, days(begin, 2))
    await maintenance.run()
    assert await files() == 4

    await analytics.writer.write(INTERACTIONS, days(6, 2))
    await maintenance.run()
    assert await files() == 2
    await analytics.writer.write(INTERACTIONS, days(9, 2))
    await maintenance.run()
    assert await files() == 4
    # All are from 2001, and go at night.
    assert (await maintenance.maintain(tenant, "interactions"))["expired"] == 8


async def test_a_writer_adds_rows_while_files_are_joined(analytics: Analytics, tenant: str) -> None:
    """Neither waits for the other, and neither fails: both read the table before the other's commit."""
    views = [
        event(tenant, "view", number, user_id="ann", occurred_at=datetime.now(UTC)) for number in range(4)
    ]
    for number in (0, 1):
        await analytics.writer.write(INTERACTIONS, placed([views[number]], begin=number))
    joining, adding = (analytics.lake.open(tenant, "interactions") for _ in range(2))

    await analytics.writer.write(INTERACTIONS, placed([views[2]], begin=2))
    lake_files.join_files(joining, [day for group in lake_files.day_groups(joining) for day in group])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analytics.lake, "open", lambda *_: adding)
        rows = rows_of(INTERACTIONS, views[3], 4, 0)
        assert analytics.lake.append(INTERACTIONS, tenant, rows, {4: 0}) == 1

    assert await ids(analytics, tenant) == sorted(each.event_id for each in views)
    assert len(analytics.lake.open(tenant, "interactions").file_uris()) == 3


async def test_sql_reads_events_and_catalogue_of_the_own_tenant(
    analytics: Analytics, tenant: str, module_database: OwnDatabase
) -> None:
    now = datetime.now(UTC)
    await analytics.writer.write(
        INTERACTIONS,
        placed(
            [event(tenant, "purchase", 1, user_id="ann", value=2.5), event(tenant, "view", 2, user_id="bob")]
        ),
    )
    await analytics.writer.write(
        INTERACTIONS, placed([event(f"{tenant}-x", "purchase", 1, user_id="eve")], begin=2)
    )
    order = OrderPlaced(
        event_id="o1",
        tenant=tenant,
        occurred_at=now,
        order_id="o1",
        user_id="ann",
        lines=(OrderLine(item_id="i1", quantity=2, price=2.5), OrderLine(item_id="i2", price=1.0)),
    )
    await analytics.writer.write(BY_NAME["orders"], placed([order]))
    administrator = await asyncpg.connect(module_database.url)
    await administrator.execute(
        "INSERT INTO sync.items (tenant, item_id, name, attributes, updated_at) "
        "VALUES ($1, 'i1', 'Tea', '{}', now()), ($2, 'i1', 'Eve''s', '{}', now())",
        tenant,
        f"{tenant}-x",
    )
    await administrator.close()
    runner = QueryRunner(analytics.database, analytics.lake, analytics.settings)

    async def rows(query: str) -> list[Any]:
        answer = await runner.run(tenant, checked(query, "trino"), 100, uuid.uuid4().hex)
        return list(answer["rows"])

    assert await rows(
        "SELECT user_id, count(*) FROM interactions WHERE event_type = 'purchase' GROUP BY user_id"
    ) == [["ann", 1]]
    names = "order_items o JOIN items i ON i.item_id = o.item_id"
    joined = f"SELECT i.name, sum(o.amount) FROM {names} GROUP BY i.name"
    assert await rows(joined) == [["Tea", 5.0]]


async def test_a_query_can_be_cancelled(analytics: Analytics, tenant: str) -> None:
    runner = QueryRunner(analytics.database, analytics.lake, analytics.settings)
    numbers = "UNNEST(sequence(1, 100000))"
    query = checked(f"SELECT count(*) FROM {numbers} a(x), {numbers} b(x) WHERE a.x * b.x = 7", "trino")
    running = asyncio.create_task(runner.run(tenant, query, 10, "mine"))
    await eventually(lambda: runner.cancel(tenant, "mine"))

    with pytest.raises(ApiError) as cancelled:
        await running

    assert cancelled.value.status == 409
    assert not runner.cancel(tenant, "mine")


def test_days_of_old_and_of_far_times_have_four_digits_of_a_year() -> None:
    far = event("t", "view", 0, user_id="ann", occurred_at=datetime(1000, 1, 2, tzinfo=UTC))

    assert rows_of(INTERACTIONS, far, 0, 0)[0]["dt"] == "1000-01-02"
