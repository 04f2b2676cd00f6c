"""Overrides are durable: in Postgres, copied to Redis, copied again after Redis lost them, and erased."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from services.recommender.domain.erased_users import ErasedUsers
from services.recommender.domain.override import Override
from services.recommender.store import overrides as module
from services.recommender.store.erasures import ErasureMarks, Erasures
from services.recommender.store.guarded_database import GuardedDatabase
from services.recommender.store.histories import Histories, Retention
from services.recommender.store.keys import HISTORIES_COMPLETE, overrides_key
from services.recommender.store.override_copies import OverrideCopies
from services.recommender.store.overrides import OverrideLimits, Overrides
from services.recommender.store.refill import Refill
from services.recommender.store.users import UserStates
from shared.errors import ApiError
from shared.events import UserErased
from shared.events.topics import Topic
from shared.postgres import Database as Pool
from shared.redis import Multiplexer
from shared.settings import PostgresSettings, RedisSettings
from tests.support.erasures import erasure
from tests.support.kafka import running
from tests.support.stack import Database
from tests.support.waiting import PATIENCE, eventually

EVER = datetime(1970, 1, 1, tzinfo=UTC)
RETENTION = Retention(purchases=timedelta(days=30), history=timedelta(days=90), session=timedelta(days=14))
LIMITS = OverrideLimits(timedelta(days=30), per_tenant=1_000)


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
        await connection.execute(*(("SET", key, 1) for key in HISTORIES_COMPLETE))
        yield connection


@pytest.fixture
def away() -> Multiplexer:
    """A Redis that was never reached."""
    return Multiplexer(RedisSettings(redis_url="redis://127.0.0.1:1/0"))


def process(redis: Multiplexer, pool: Pool, limits: OverrideLimits = LIMITS) -> Overrides:
    return Overrides(redis, pool, GuardedDatabase(pool, PATIENCE), limits)


async def items(overrides: Overrides, user: str = "u") -> dict[str, float]:
    return {each.item_id: each.score for each in await overrides.of_user("shop", user)}


async def test_a_put_is_read_by_every_process_and_replaces_the_same_item(
    pool: Pool, redis: Multiplexer
) -> None:
    one, other = process(redis, pool), process(redis, pool)
    heard: list[Override] = []
    other.listen(heard.append)
    async with running(one), running(other):
        await asyncio.sleep(0.5)
        await one.put("shop", "u", "a", 0.5, "shoes")
        await one.put("shop", "u", "b", 0.6, None)
        await one.put("shop", "u", "a", 0.7, None)

        assert await items(one) == {"a": 0.7, "b": 0.6}
        await eventually(lambda: len(heard) == 3)
        assert await items(other) == {"a": 0.7, "b": 0.6}
        assert await items(other, "somebody else") == {}
    assert [(each.item_id, each.category) for each in heard] == [("a", "shoes"), ("b", None), ("a", None)]


async def test_a_tenant_without_overrides_asks_nobody(pool: Pool, away: Multiplexer) -> None:
    class Untouched(GuardedDatabase):
        async def fetch(self, text: str, *_: object) -> None:
            raise AssertionError(text)

    overrides = Overrides(away, pool, Untouched(pool, 1.0), LIMITS)

    assert await overrides.of_user("shop", "u") == ()


async def test_a_put_without_redis_is_served_by_postgres_and_copied_later(
    pool: Pool, redis: Multiplexer, away: Multiplexer
) -> None:
    without = process(away, pool)
    await without.put("shop", "u", "a", 0.5, None)
    assert await items(without) == {"a": 0.5}

    assert await OverrideCopies(redis, pool).copy_missing() == 1

    assert (await redis.execute(("HLEN", overrides_key("shop", "u")))) == [1]
    assert await OverrideCopies(redis, pool).copy_missing() == 0


async def test_a_lost_redis_is_filled_again_and_meanwhile_postgres_answers(
    pool: Pool, redis: Multiplexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.recommender.store.override_copies.PAGE_SIZE", 2)
    overrides = process(redis, pool)
    for n in range(5):
        await overrides.put("shop", "u", f"item-{n}", n / 10, None)
    await redis.execute(("FLUSHDB",))
    assert len(await items(overrides)) == 5

    copies = OverrideCopies(redis, pool)
    histories, users = Histories(redis, RETENTION), UserStates(redis)
    await Refill(
        *(redis, pool, histories, users, copies, RETENTION, ErasedUsers()),
        ErasureMarks(redis, RETENTION.purchases),
    ).refill(EVER)

    assert (await redis.execute(("HLEN", overrides_key("shop", "u")))) == [5]


async def test_an_older_copy_never_replaces_a_newer_one(
    pool: Pool, redis: Multiplexer, away: Multiplexer
) -> None:
    old = await process(away, pool).put("shop", "u", "a", 0.1, None)
    overrides = process(redis, pool)
    await overrides.put("shop", "u", "a", 0.9, None)

    await OverrideCopies(redis, pool).copy([old])

    assert await items(overrides) == {"a": 0.9}


async def test_an_expired_override_is_not_served_and_its_row_is_deleted(
    pool: Pool, redis: Multiplexer
) -> None:
    overrides = process(redis, pool, OverrideLimits(timedelta(seconds=0.05), per_tenant=10))
    await overrides.put("shop", "u", "a", 0.5, None)
    await asyncio.sleep(0.1)

    assert await items(overrides) == {}
    await OverrideCopies(redis, pool).delete_expired()
    assert await pool.fetchval("SELECT count(*) FROM recommender.overrides") == 0


async def test_a_user_and_a_tenant_have_a_limited_number(
    pool: Pool, redis: Multiplexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PER_USER", 2)
    overrides = process(redis, pool, OverrideLimits(timedelta(days=1), per_tenant=4))
    await overrides.put("shop", "u", "a", 0.5, None)
    await overrides.put("shop", "u", "b", 0.5, None)

    with pytest.raises(ApiError, match="A user may have 2"):
        await overrides.put("shop", "u", "c", 0.5, None)
    await overrides.put("shop", "u", "b", 0.7, None)
    await overrides.put("shop", "v", "a", 0.5, None)
    with pytest.raises(ApiError, match="A tenant may have 4"):
        await overrides.put("shop", "w", "a", 0.5, None)


async def test_an_erased_user_has_no_overrides_left_not_even_a_late_copy(
    pool: Pool, redis: Multiplexer, away: Multiplexer
) -> None:
    class Receipts:
        rows: dict[str, int] = {}

        async def publish(self, _: Topic, events: Sequence[UserErased], *, within: float) -> None:
            assert within > 0
            self.rows = dict(events[0].rows)

    overrides, receipts = process(redis, pool), Receipts()
    await overrides.put("shop", "u", "a", 0.5, None)
    late = await process(away, pool).put("shop", "u", "b", 0.5, None)

    marks = ErasureMarks(redis, RETENTION.purchases)
    await Erasures(redis, pool, receipts, marks).erase(erasure("u", tenant="shop"))  # type: ignore[arg-type]
    await OverrideCopies(redis, pool).copy([late])

    assert receipts.rows["overrides"] == 2
    assert (await redis.execute(("EXISTS", overrides_key("shop", "u")))) == [0]
    assert await items(overrides) == {}
