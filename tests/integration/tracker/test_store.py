"""The log on a real Postgres: each event once, whatever comes twice."""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.intake_rules import Rules
from services.tracker.domain.personalize import interactions
from services.tracker.store import AddResult, IntakeRulesTable, InteractionLog, Retention
from shared.aws.personalize.events import PutEventsRequest
from shared.events import InteractionRecorded
from shared.kafka import encoded
from shared.postgres import Database
from shared.settings import PostgresSettings
from tests.support.stack import Database as OwnDatabase

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def an_event(number: int = 0, **changes: Any) -> InteractionRecorded:
    fields: dict[str, Any] = {
        "event_id": f"e{number}",
        "tenant": "shop",
        "occurred_at": NOW + timedelta(seconds=number),
        "received_at": NOW,
        "user_id": f"u{number % 7}",
        "event_type": "view",
        "item_id": f"i{number}",
    }
    return InteractionRecorded(**fields | changes)


def batched(events: list[InteractionRecorded]) -> list[list[InteractionRecorded]]:
    return [events[start : start + 2_000] for start in range(0, len(events), 2_000)]


@pytest_asyncio.fixture
async def opened(database: OwnDatabase) -> AsyncIterator[Database]:
    opened_database = Database(PostgresSettings(database_url=database.role_url("tracker")), "tracker")
    await opened_database.start()
    yield opened_database
    await opened_database.stop()


@pytest.fixture
def store(opened: Database) -> InteractionLog:
    return InteractionLog(opened)


async def test_every_field_comes_back(store: InteractionLog) -> None:
    event = an_event(
        session_id="s",
        event_type="purchase",
        sender_type="Order Completed",
        value=1.5,
        quantity=2.0,
        price=2.55,
        order_id="o",
        recommendation_id="RID-1",
        impression=("a", 'b"{,\\', "c"),
        attribution_source="mail",
        properties={"a": [1, {"b": None}], "ü": "☃"},
        city="München",
        province="BY",
        country="Germany",
        source="backend",
        historical=True,
    )

    assert await store.add([event]) == AddResult(1, 0, 0)

    (row,) = await store.newest_events("shop", user_id="u0", session_id=None, limit=10)
    expected = event.model_dump(exclude={"tenant", "attribution_source", "replaces"})
    assert row == expected | {"impression": ["a", 'b"{,\\', "c"]}


async def test_an_event_is_kept_and_counted_once(store: InteractionLog) -> None:
    batch = [an_event(number) for number in range(100)]

    assert await store.add(batch) == AddResult(100, 0, 0)
    assert await store.add([*batch, an_event(100)]) == AddResult(1, 100, 0)
    assert await store.add([an_event(200), an_event(200)]) == AddResult(1, 1, 0)

    assert await store.counts("shop") == {"view": 102}


async def test_any_order_of_arrival_and_any_repetition_gives_the_same_log(
    store: InteractionLog, opened: Database
) -> None:
    """Ten thousand events in order for one tenant, shuffled and with 5 % sent again for another."""
    chance = random.Random(14)
    events = [
        an_event(number, event_type=("view", "click", "purchase")[number % 3]) for number in range(10_000)
    ]
    shuffled = [event.model_copy(update={"tenant": "other"}) for event in events]
    shuffled += chance.sample(shuffled, 500)
    chance.shuffle(shuffled)
    for batch in (*batched(events), *batched(shuffled)):
        await store.add(batch)

    assert await store.counts("shop") == await store.counts("other")
    columns = "event_id, user_id, event_type, item_id, occurred_at, fingerprint"
    differing = await opened.fetchval(
        f"SELECT count(*) FROM (SELECT {columns} FROM interactions WHERE tenant = 'shop' EXCEPT "
        f"SELECT {columns} FROM interactions WHERE tenant = 'other') AS differing"
    )
    assert (differing, await opened.fetchval("SELECT count(*) FROM event_conflicts")) == (0, 0)


async def test_old_events_are_deleted_and_not_counted(store: InteractionLog, opened: Database) -> None:
    now = datetime.now(UTC)
    old = [an_event(number, occurred_at=now - timedelta(days=31)) for number in range(3)]
    new = an_event(9, occurred_at=now - timedelta(days=29), tenant="other")
    await store.add([*old, new])

    retention = Retention(opened, days=30)
    assert [await retention.clean(), await retention.clean()] == [3, 0]

    assert (await store.counts("shop"), await store.counts("other")) == ({"view": 0}, {"view": 1})


async def test_tenants_do_not_share_ids_or_counts(store: InteractionLog) -> None:
    await store.add([an_event(), an_event(tenant="other", event_type="click")])

    assert await store.counts("shop") == {"view": 1}
    assert await store.counts("other") == {"click": 1}


async def test_an_id_that_is_used_for_something_else_is_noted_and_the_first_holds(
    store: InteractionLog, opened: Database
) -> None:
    await store.add([an_event(1), an_event(2)])

    kept = await store.add(
        [an_event(1, item_id="another"), an_event(2, received_at=NOW + timedelta(hours=1)), an_event(3)]
    )
    in_one_batch = await store.add([an_event(4), an_event(4, event_type="click")])

    assert kept == AddResult(1, 2, 1)
    assert in_one_batch == AddResult(1, 1, 1)
    conflicts = await opened.fetch("SELECT event_id, event FROM event_conflicts ORDER BY event_id")
    assert [row["event_id"] for row in conflicts] == ["e1", "e4"]
    assert conflicts[0]["event"]["item_id"] == "another"
    (row,) = await store.newest_events("shop", user_id="u1", session_id=None, limit=10)
    assert row["item_id"] == "i1"
    repeated = await store.add([an_event(1, item_id="another")])
    assert repeated.conflicting == 0, "the same conflict is noted once"


async def test_two_workers_at_once_neither_lose_nor_double(store: InteractionLog) -> None:
    batches = [
        [an_event(number, event_type="view" if number % 2 else "click") for number in range(b, b + 300)]
        for b in range(0, 1500, 100)
    ]

    async def keep(batch: list[InteractionRecorded]) -> None:
        while True:  # as the consumer does: a deadlock is an answer to try again
            try:
                await store.add(batch)
            except asyncpg.DeadlockDetectedError:
                continue
            return

    await asyncio.gather(*(keep(batch) for batch in [*batches, *reversed(batches)]))

    assert await store.counts("shop") == {"view": 850, "click": 850}


async def test_the_history_of_a_session_is_found_too(store: InteractionLog) -> None:
    await store.add([an_event(n, user_id=None, session_id="s") for n in range(5)])

    rows = await store.newest_events("shop", user_id=None, session_id="s", limit=3)

    assert [row["event_id"] for row in rows] == ["e4", "e3", "e2"]


@pytest.mark.parametrize(
    "changes",
    [
        {"occurred_at": datetime(1, 1, 2, tzinfo=UTC)},
        {"occurred_at": datetime(9999, 12, 30, tzinfo=UTC)},
        {"value": 1.7e308, "price": -0.0, "quantity": 5e-324},
        {"properties": {"big": 2**63, "float": 1e308, "text": '\\u0001 \x01"', "": ""}},
        {"item_id": "\U0010ffff" * 256, "event_id": "\u20ac" * 256, "user_id": "\u20ac" * 256},
        {"impression": ()},
        {"city": "x" * 100_000},
    ],
)
async def test_strange_values_are_stored(store: InteractionLog, changes: dict[str, Any]) -> None:
    event = an_event(**changes)

    assert (await store.add([event])).stored == 1
    assert (await store.add([event])).repeated == 1


async def test_readers_see_the_view_and_not_the_table(store: InteractionLog, database: OwnDatabase) -> None:
    await store.add([an_event(user_id=None, session_id="s")])
    for service in ("trainer", "engine", "recommender", "router"):
        connection = await asyncpg.connect(database.role_url(service))
        try:
            row = await connection.fetchrow("SELECT * FROM tracker.interactions_v1 WHERE tenant = 'shop'")
            assert row is not None
            assert (row["event_id"], row["session_id"]) == ("e0", "s")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch("SELECT * FROM tracker.interactions")
        finally:
            await connection.close()


async def test_a_history_is_read_by_its_index(store: InteractionLog, opened: Database) -> None:
    await store.add([an_event(number, user_id=f"u{number}") for number in range(2000)])
    await opened.execute("ANALYZE interactions")

    plan = await opened.fetchval(
        "EXPLAIN (FORMAT JSON) SELECT * FROM interactions_v1 "
        "WHERE tenant = 'shop' AND user_id = 'u7' ORDER BY occurred_at DESC LIMIT 50"
    )

    assert "interactions_by_user" in str(plan)


ODD_EVENTS: tuple[dict[str, Any], ...] = (
    {"properties": '{"price": "", "quantity": [], "orderId": {}, "eventValue": "many", "itemId": true}'},
    {"properties": '{"a": {"b": [null, 1e308, "👍", "\\u0001"]}, "": "", "itemId": "i", "price": -1e12}'},
    {"properties": json.dumps({"x": "y" * 1_000})},
    {"properties": '{"orderId": "o", "quantity": 1e-300, "n": 18446744073709551615}'},
    {"eventType": "👍" * 256, "itemId": "'\\\"|" * 64, "eventId": "e" * 256},
    {"eventValue": -1e12, "impression": ["i" * 256] * 25, "recommendationId": "RID-1"},
    {"sentAt": 0},
    {"sentAt": 32_503_679_999},
    {"metricAttribution": {"eventAttributionSource": "~" * 1024}},
)


async def test_no_event_of_putevents_that_was_accepted_is_refused_later(store: InteractionLog) -> None:
    request = {"trackingId": "t", "userId": "\u00fc" * 256, "sessionId": "\x01" * 256}
    request["eventList"] = [{"eventType": "View", "sentAt": 1_795_000_000} | odd for odd in ODD_EVENTS]  # type: ignore[assignment]
    numbers = itertools.count()
    context = IngestContext("shop", NOW, NOW - timedelta(days=7_300), lambda: f"new-{next(numbers)}")

    events = interactions(PutEventsRequest.model_validate(request), context)
    read = [InteractionRecorded.model_validate_json(encoded(e, "tracker", "").value or b"") for e in events]

    assert await store.add(read) == AddResult(len(ODD_EVENTS), 0, 0)


async def test_a_withheld_event_is_in_the_log_alone(store: InteractionLog, opened: Database) -> None:
    await store.add([an_event(1, withheld="bot"), an_event(2, user_id="u1")])

    stored = await store.newest_events("shop", user_id="u1", session_id=None, limit=10)
    counted = await opened.fetch("SELECT event_id FROM interactions_v1")
    assert {row["event_id"]: row["withheld"] for row in stored} == {"e1": "bot", "e2": None}
    assert [row["event_id"] for row in counted] == ["e2"]


async def test_rules_are_stored_for_each_tenant(opened: Database) -> None:
    table = IntakeRulesTable(opened)
    before = await table.of("shop")
    await table.save("shop", Rules(event_types={"gesehen": "view"}))

    assert (before.canonical_type("gesehen"), (await table.of("shop")).canonical_type("gesehen")) == (
        "gesehen",
        "view",
    )
    assert await table.read("shop") == Rules(event_types={"gesehen": "view"})
    assert await table.read("other") == Rules()
