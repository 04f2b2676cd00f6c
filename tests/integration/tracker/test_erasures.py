"""A user is erased from the log: with sessions and counts, once, and for what comes late too."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.tracker.store import Erasures, InteractionLog
from shared.errors import Transient
from shared.events import InteractionRecorded, UserErased
from shared.events.topics import Topic
from shared.postgres import Database
from shared.settings import PostgresSettings
from tests.support.erasures import erasure
from tests.support.stack import Database as OwnDatabase

NOW = datetime.now(UTC)


class Receipts:
    """Takes what would be published; `away` is Kafka's absence."""

    def __init__(self) -> None:
        self.published: list[UserErased] = []
        self.is_unavailable = False

    async def publish(self, _: Topic, events: Sequence[UserErased], *, within: float) -> None:
        if self.is_unavailable:
            raise Transient(f"Kafka did not answer within {within} s")
        self.published += events


@pytest.fixture
async def database(database: OwnDatabase) -> AsyncIterator[Database]:
    own = Database(PostgresSettings(database_url=database.role_url("tracker")), "tracker")
    await own.start()
    yield own
    await own.stop()


def happened(user: str | None, session: str | None = None, **fields: Any) -> InteractionRecorded:
    values = {
        "event_id": str(uuid.uuid4()),
        "occurred_at": NOW - timedelta(hours=1),
        "item_id": "i1",
        "received_at": NOW,
    } | fields
    return InteractionRecorded(
        tenant="default", user_id=user, session_id=session, event_type="view", **values
    )


async def left(database: Database) -> list[tuple[str | None, str | None]]:
    rows = await database.fetch("SELECT user_id, session_id FROM interactions ORDER BY user_id, session_id")
    return [(row["user_id"], row["session_id"]) for row in rows]


async def test_events_of_the_user_and_of_the_sessions_go_and_nothing_else(database: Database) -> None:
    store, receipts = InteractionLog(database), Receipts()
    await store.add(
        [
            happened("u1", "s1"),
            happened("u1"),
            happened(None, "s1"),
            happened(None, "s2"),
            happened(None, "s9"),
            happened("u2", "s1"),
        ]
    )

    await Erasures(database, receipts).erase(erasure("u1", session_ids=("s2",)))  # type: ignore[arg-type]

    assert await left(database) == [("u2", "s1"), (None, "s9")]
    assert await store.counts("default") == {"view": 2}
    assert [receipt.rows for receipt in receipts.published] == [{"interactions": 4, "event_conflicts": 0}]


async def test_what_happened_before_is_refused_however_late_it_comes(database: Database) -> None:
    store, receipts = InteractionLog(database), Receipts()
    await Erasures(database, receipts).erase(erasure("u1", session_ids=("s1",)))  # type: ignore[arg-type]

    await store.add([happened("u1"), happened(None, "s1"), happened("u2")])
    later = NOW + timedelta(hours=1)
    await store.add([happened("u1", occurred_at=later, received_at=later)])

    assert await left(database) == [("u1", None), ("u2", None)]
    assert await store.counts("default") == {"view": 2}


async def test_a_receipt_that_could_not_be_published_counts_the_same_later(database: Database) -> None:
    store, receipts = InteractionLog(database), Receipts()
    await store.add([happened("u1"), happened("u1")])
    erasures, request = Erasures(database, receipts), erasure("u1")  # type: ignore[arg-type]
    receipts.is_unavailable = True
    with pytest.raises(Transient):
        await erasures.erase(request)
    receipts.is_unavailable = False

    for _ in range(2):
        await erasures.erase(request)

    assert [receipt.rows["interactions"] for receipt in receipts.published] == [2, 2]


async def test_batches_that_are_stored_meanwhile_leave_nothing_behind(database: Database) -> None:
    store, receipts = InteractionLog(database), Receipts()
    erasures = Erasures(database, receipts)  # type: ignore[arg-type]
    batches = [[happened("u1") for _ in range(50)] for _ in range(40)]
    begun = asyncio.Event()

    async def keep() -> None:
        for batch in batches:
            await store.add(batch)
            begun.set()

    async def erase() -> None:
        await begun.wait()
        await erasures.erase(erasure("u1"))

    await asyncio.gather(keep(), keep(), erase())

    assert await left(database) == []
    assert await store.counts("default") == {"view": 0}


async def test_an_event_of_a_clock_that_is_ahead_goes_and_stays_out(database: Database) -> None:
    """The time of an event is its client's, up to five minutes after it was received."""
    store, receipts = InteractionLog(database), Receipts()
    ahead = [
        happened(user, session, event_id=f"{user or session}-{name}", occurred_at=NOW + timedelta(minutes=4))
        for user, session, name in (("u1", None, "a"), (None, "s1", "b"), ("u2", None, "c"))
    ]
    contradicting = ahead[0].model_copy(update={"item_id": "i2"})
    await store.add([*ahead, contradicting])
    request = erasure("u1", occurred_at=NOW + timedelta(seconds=1), session_ids=("s1",))

    await Erasures(database, receipts).erase(request)  # type: ignore[arg-type]
    await store.add([*ahead, contradicting])
    later = NOW + timedelta(seconds=2)
    returned = happened("u1", occurred_at=later, received_at=later)
    await store.add([returned])

    rows = await database.fetch("SELECT event_id FROM interactions ORDER BY event_id")
    assert {row["event_id"] for row in rows} == {"u2-c", returned.event_id}
    assert await database.fetchval("SELECT count(*) FROM event_conflicts") == 0
    assert [receipt.rows for receipt in receipts.published] == [{"interactions": 2, "event_conflicts": 1}]
