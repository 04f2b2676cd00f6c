"""Users are refilled from sync's view after Redis lost them, each in its newest state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta

import asyncpg
import orjson
import pytest

from services.recommender.domain.erased_users import ErasedUsers
from services.recommender.store import refill
from services.recommender.store.erasures import ErasureMarks
from services.recommender.store.histories import Histories, Retention
from services.recommender.store.keys import erased_key, location_key, properties_key
from services.recommender.store.override_copies import OverrideCopies
from services.recommender.store.refill import Refill
from services.recommender.store.users import UserState, UserStates
from shared.postgres import Database as Pool
from shared.redis import Multiplexer
from shared.settings import PostgresSettings, RedisSettings
from tests.integration.recommender.histories import history
from tests.support.erasures import erasure
from tests.support.kafka import running
from tests.support.stack import Database
from tests.support.waiting import PATIENCE, eventually

RETENTION = Retention(purchases=timedelta(days=30), history=timedelta(days=90), session=timedelta(days=14))
EVER = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    pool = Pool(PostgresSettings(database_url=database.role_url("recommender")), "recommender")
    async with running(pool):
        yield pool


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Multiplexer]:
    connection = Multiplexer(RedisSettings(redis_url=redis_url), timeout=PATIENCE)
    async with running(connection):
        await eventually(lambda: connection.up)
        yield connection


async def write(database: Database, statement: str) -> None:
    connection = await asyncpg.connect(database.url)
    await connection.execute(statement)
    await connection.close()


async def places(redis: Multiplexer, *users: str) -> list[bytes | None]:
    (values,) = await redis.execute(("MGET", *(location_key("shop", user) for user in users)))
    return list(values)


class Interrupted(UserStates):
    """User states that change between the first read and the first write."""

    def __init__(self, redis: Multiplexer, meanwhile: Callable[[], Awaitable[None]]) -> None:
        super().__init__(redis)
        self._meanwhile: Callable[[], Awaitable[None]] | None = meanwhile

    async def put(self, users: Mapping[tuple[str, str], UserState | None]) -> None:
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            await meanwhile()
        await super().put(users)


def refill_of(redis: Multiplexer, pool: Pool) -> Refill:
    """Return a refill while no user is being erased."""
    return Refill(
        redis,
        pool,
        Histories(redis, RETENTION),
        UserStates(redis),
        OverrideCopies(redis, pool),
        RETENTION,
        ErasedUsers(),
        ErasureMarks(redis, RETENTION.purchases),
    )


async def test_every_user_is_refilled_page_by_page(
    database: Database, pool: Pool, redis: Multiplexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refill, "BATCH", 2)
    users = [f"{sign}{n}" for sign in "aBé" for n in range(3)]
    rows = ", ".join(f"('shop', '{user}', '{user}-town', '{{\"tier\": \"gold\"}}')" for user in users)
    await write(database, f"INSERT INTO sync.users (tenant, user_id, city, attributes) VALUES {rows}")

    await refill_of(redis, pool).refill(EVER)

    assert await places(redis, *users) == [f'["{user}-town",null,null]'.encode() for user in users]
    (facts,) = await redis.execute(("GET", properties_key("shop", "a0")))
    assert orjson.loads(facts) == {"tier": "gold", "city": "a0-town"}


async def test_only_users_who_changed_since_are_read(
    database: Database, pool: Pool, redis: Multiplexer
) -> None:
    await write(
        database,
        "INSERT INTO sync.users (tenant, user_id, city, updated_at) "
        "VALUES ('shop', 'old', 'Ulm', '2026-01-01'), ('shop', 'new', 'Rom', '2026-03-01')",
    )

    await refill_of(redis, pool).refill(datetime(2026, 2, 1, tzinfo=UTC))

    assert await places(redis, "old", "new") == [None, b'["Rom",null,null]']


async def test_a_newer_state_from_kafka_is_not_overwritten(
    database: Database, pool: Pool, redis: Multiplexer
) -> None:
    await write(
        database,
        "INSERT INTO sync.users (tenant, user_id, city) "
        "VALUES ('shop', 'moved', 'Ulm'), ('shop', 'left', 'Ulm')",
    )

    async def meanwhile() -> None:
        await write(
            database,
            "UPDATE sync.users SET city = 'Rom' WHERE user_id = 'moved'; "
            "DELETE FROM sync.users WHERE user_id = 'left'",
        )
        heard = {("shop", "moved"): UserState.of(None, ("Rom", None, None), {}), ("shop", "left"): None}
        await UserStates(redis).put(heard)

    worker = Refill(
        redis,
        pool,
        Histories(redis, RETENTION),
        Interrupted(redis, meanwhile),
        OverrideCopies(redis, pool),
        RETENTION,
        ErasedUsers(),
        ErasureMarks(redis, RETENTION.purchases),
    )
    await worker.refill(EVER)

    assert await places(redis, "moved", "left") == [b'["Rom",null,null]', None]
    (facts,) = await redis.execute(("GET", properties_key("shop", "left")))
    assert facts is None


async def test_events_that_an_erasure_in_progress_covers_are_not_refilled(
    database: Database, pool: Pool, redis: Multiplexer
) -> None:
    """The log may still have them, and one of a client whose clock is ahead is dated after the request."""
    requested_at = datetime.now(UTC) - timedelta(hours=1)
    values = ", ".join(
        f"('shop', '{user}-{minutes}', '{user}', 'i', 'view', 'events', false, 0, "
        f"'{requested_at + timedelta(minutes=minutes)}', '{requested_at + timedelta(minutes=received)}')"
        for user, minutes, received in (("ann", -9, -9), ("ann", 4, -1), ("ann", 5, 5), ("bob", -9, -9))
    )
    await write(
        database,
        "INSERT INTO tracker.interactions (tenant, event_id, user_id, item_id, event_type, source, "
        f"historical, fingerprint, occurred_at, received_at) VALUES {values}",
    )
    erased_users, request = ErasedUsers(), erasure("ann", tenant="shop", occurred_at=requested_at)
    erased_users.apply(request.key, request)

    await Refill(
        *(redis, pool, Histories(redis, RETENTION), UserStates(redis), OverrideCopies(redis, pool)),
        *(RETENTION, erased_users, ErasureMarks(redis, RETENTION.purchases)),
    ).refill(EVER)

    assert [event for _, _, event in await history(redis, "ann")] == ["ann-5"]
    assert [event for _, _, event in await history(redis, "bob")] == ["bob--9"]


async def test_it_is_known_again_who_was_erased(
    database: Database, pool: Pool, redis: Multiplexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them is known for the rest of the time; a later erasure that Redis still knows remains."""
    monkeypatch.setattr(refill, "BATCH", 2)
    now = datetime.now(UTC)
    days = {"ann": 1, "bob": 2, "cid": 29.9, "dan": 31, "eve": 3}
    times = {user: now - timedelta(days=ago) for user, ago in days.items()}
    rows = ", ".join(f"('shop', '{user}', 'e', '{time}')" for user, time in times.items())
    await write(
        database,
        f"INSERT INTO tracker.erased_subjects (tenant, subject, erasure_id, erased_at) VALUES {rows}",
    )
    marks = ErasureMarks(redis, RETENTION.purchases)
    await marks.set({("shop", "bob"): now.timestamp()})

    await refill_of(redis, pool).refill(EVER)

    known = {user: await marks.erased_until("shop", [user]) for user in times}
    assert known == {
        "ann": pytest.approx(times["ann"].timestamp(), abs=1e-5),
        "bob": pytest.approx(now.timestamp(), abs=1e-5),
        "cid": pytest.approx(times["cid"].timestamp(), abs=1e-5),
        "dan": 0.0,
        "eve": pytest.approx(times["eve"].timestamp(), abs=1e-5),
    }
    (left,) = await redis.execute(("TTL", erased_key("shop", "cid")))
    assert 0 < left <= timedelta(days=0.1).total_seconds()
