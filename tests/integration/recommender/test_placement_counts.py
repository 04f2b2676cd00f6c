"""Impressions without a click and answers of a day on a real Redis: redelivery, bounds, replicas."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.recommender.domain.unclicked_impressions import ImpressionEvent
from services.recommender.store.erasures import ErasureMarks, Erasures
from services.recommender.store.histories import Histories, Retention
from services.recommender.store.impression_script import MAX_IDS, MAX_ITEMS
from services.recommender.store.item_quotas import COUNTS_TTL, ItemQuotaCounts
from services.recommender.store.keys import quota_key, subjects_key, unclicked_key
from services.recommender.store.memory_budget import MemoryBudget
from services.recommender.store.unclicked_impressions import UnclickedImpressions
from shared.events import UserErased
from shared.redis import Multiplexer
from shared.settings import RedisSettings
from tests.support.erasures import erasure
from tests.support.waiting import PATIENCE, eventually

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
START = int(NOW.timestamp() * 1_000)
DAY = 86_400_000


@asynccontextmanager
async def connected(redis_url: str) -> AsyncIterator[Multiplexer]:
    connection = Multiplexer(RedisSettings(redis_url=redis_url), timeout=PATIENCE)
    await connection.start()
    await eventually(lambda: connection.up)
    try:
        yield connection
    finally:
        await connection.stop()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Multiplexer]:
    async with connected(redis_url) as connection:
        await connection.execute(("FLUSHDB",))
        yield connection


def shown(
    milliseconds: int, items: str, *, engaged: str | None = None, subject: str = "u", **more: Any
) -> Any:
    event_id = more.pop("event_id", f"{milliseconds} {items}")
    return ImpressionEvent(
        "shop", subject, more.pop("session", None), milliseconds, event_id, tuple(items), engaged
    )


async def counts(impressions: UnclickedImpressions, *subjects: str, days: int = 7) -> dict[str, int]:
    return await impressions.of("shop", subjects or ("u",), days, NOW)


async def test_impressions_count_until_the_visitor_turns_to_the_item(redis: Multiplexer) -> None:
    impressions = UnclickedImpressions(redis)

    await impressions.record([shown(START, "ab"), shown(START + 1, "bc"), shown(START + 2, "b", subject="v")])
    assert await counts(impressions) == {"a": 1, "b": 2, "c": 1}
    await impressions.record([shown(START + 3, "a", engaged="b")])
    assert await counts(impressions) == {"a": 2, "c": 1}
    assert await counts(impressions, "u", "v", "unknown") == {"a": 2, "b": 1, "c": 1}


async def test_only_days_of_the_period_count(redis: Multiplexer) -> None:
    impressions = UnclickedImpressions(redis)

    await impressions.record([shown(START - days * DAY, "a") for days in (40, 29, 6, 6, 1, 0)])

    assert [(await counts(impressions, days=days)).get("a") for days in (1, 2, 7, 30)] == [1, 2, 3, 4]


async def test_a_click_after_the_login_resets_what_the_session_saw(redis: Multiplexer) -> None:
    impressions = UnclickedImpressions(redis)

    await impressions.record([shown(START, "ab", subject="s")])
    await impressions.record([shown(START + 9, "", engaged="a", session="s")])

    assert await counts(impressions, "u", "s") == {"b": 1}


async def test_redelivered_events_change_nothing(redis: Multiplexer) -> None:
    """Deliver events in batches; after any batch, delivery goes back to an earlier one, as after a crash."""
    rng = random.Random(4)
    impressions = UnclickedImpressions(redis)
    events, plain, at = [], dict[str, int](), START
    for number in range(400):
        at += rng.choice([0, 1, 50, 2_000, 70_000])
        items = "".join(sorted(rng.sample("abcdef", rng.randrange(3))))
        engaged = rng.choice([None, None, None, *"abcdef"])
        events.append(shown(at + rng.randrange(-20, 20), items, engaged=engaged, event_id=f"e{number}"))
        plain.pop(engaged or "", None)
        for item in items:
            plain[item] = plain.get(item, 0) + 1
    position = 0
    while position < len(events):
        end = min(position + rng.randrange(1, 40), len(events))
        await impressions.record(events[position:end])
        position = max(0, position - rng.randrange(60)) if rng.random() < 0.2 else end

    assert await counts(impressions) == plain


async def test_a_repeated_click_keeps_what_was_shown_after_it(redis: Multiplexer) -> None:
    impressions = UnclickedImpressions(redis)
    click, view = shown(START, "", engaged="a"), shown(START + 5, "a")

    for batch in ([click], [view], [click], [click, view]):
        await impressions.record(batch)

    assert await counts(impressions) == {"a": 1}


async def test_counts_of_a_subject_are_bounded_and_expire_with_it(redis: Multiplexer) -> None:
    impressions = UnclickedImpressions(redis)
    events = [
        ImpressionEvent("shop", "u", None, START + number, "x" * 250 + str(number), (f"item {number}",), None)
        for number in range(MAX_ITEMS + MAX_IDS)
    ]

    await impressions.record(events)
    await impressions.record(events)

    key = unclicked_key("shop", "u")
    length, ttl, state, bytes_used, expiry = await redis.execute(
        ("HLEN", key),
        ("TTL", key),
        ("HGET", key, ""),
        ("MEMORY", "USAGE", key, "SAMPLES", "0"),
        ("ZSCORE", subjects_key("shop"), "u"),
    )
    assert length <= MAX_ITEMS + 1
    assert set((await counts(impressions)).values()) == {1}
    assert f"item {MAX_ITEMS + MAX_IDS - 1}" in await counts(impressions)
    assert 0 < ttl <= 30 * 86_400
    assert len(state) < 70 * MAX_IDS
    assert bytes_used < 60_000
    assert abs(float(expiry) - time.time() - ttl) < 10
    await MemoryBudget(redis, 1)._drop("shop", 1)
    assert await redis.execute(("EXISTS", key)) == [0]


async def test_counts_of_a_user_and_of_their_sessions_are_erased(redis: Multiplexer) -> None:
    class NoRows:
        async def fetch(self, *_: object) -> list[object]:
            return []

    class Receipts:
        rows: list[dict[str, int]] = []

        async def publish(self, _: object, events: Sequence[UserErased], *, within: float) -> None:
            self.rows += [dict(event.rows) for event in events if within]

    impressions, receipts = UnclickedImpressions(redis), Receipts()
    await impressions.record([shown(START, "a", subject=subject) for subject in ("u", "s", "other")])

    marks = ErasureMarks(redis, timedelta(days=15))
    await Erasures(redis, NoRows(), receipts, marks).erase(erasure("u", tenant="shop", session_ids=("s",)))

    assert [rows["impressions"] for rows in receipts.rows] == [2]
    assert await counts(impressions, "u", "s", "other") == {"a": 1}


async def test_subjects_of_histories_do_not_end_sooner(redis: Multiplexer) -> None:
    retention = Retention(timedelta(30), timedelta(400), timedelta(14))
    await Histories(redis, retention).record([])
    await redis.execute(("ZADD", subjects_key("shop"), 4e9, "u"))

    await UnclickedImpressions(redis, retention.history).record([shown(START, "a")])

    score, ttl = await redis.execute(("ZSCORE", subjects_key("shop"), "u"), ("TTL", subjects_key("shop")))
    assert float(score) == 4e9
    assert ttl > 399 * 86_400


async def answers(replica: ItemQuotaCounts, now: datetime = NOW) -> dict[str, int]:
    return dict(await replica.of("shop", "home", now))


def add(replica: ItemQuotaCounts, items: Iterable[str], times: int = 1) -> None:
    for _ in range(times):
        replica.count("shop", "home", items, NOW)


async def test_two_replicas_count_together(redis: Multiplexer, redis_url: str) -> None:
    async with AsyncExitStack() as stack:
        replicas = []
        for _ in range(2):
            connection = await stack.enter_async_context(connected(redis_url))
            replicas.append(ItemQuotaCounts(connection))
            await replicas[-1].start()
            stack.push_async_callback(replicas[-1].stop)
        first, second = replicas
        assert await answers(first) == await answers(second) == {}
        add(first, "ab", 3)
        add(second, "bc", 2)
        assert await answers(first) == {"a": 3, "b": 3}, "a replica knows its own answers at once"

        async def agreed() -> bool:
            return await answers(first) == await answers(second) == {"a": 3, "b": 5, "c": 2}

        await eventually(agreed)
        add(second, "c")
        assert (await answers(second))["c"] == 3
        third = ItemQuotaCounts(redis)

        async def stored() -> bool:
            (value,) = await redis.execute(("HGET", quota_key("shop", "home", "2026-11-27"), "c"))
            return value == b"3"

        await eventually(stored)
        assert await answers(third) == {"a": 3, "b": 5, "c": 3}, "a new replica reads before its first answer"
        assert await answers(first, NOW + timedelta(days=1)) == {}
        (ttl,) = await redis.execute(("TTL", quota_key("shop", "home", "2026-11-27")))
    assert 0 < ttl <= COUNTS_TTL.total_seconds()


async def test_counts_survive_a_time_without_redis_and_a_stop(redis: Multiplexer, redis_url: str) -> None:
    unreachable = Multiplexer(RedisSettings(redis_url="redis://127.0.0.1:1/0"), timeout=0.1)
    replica = ItemQuotaCounts(unreachable)
    await replica.start()
    add(replica, "a", 2)
    await replica._flush()
    assert await answers(replica) == {"a": 2}
    replica._redis = redis
    add(replica, "a")
    await replica.stop()

    assert await redis.execute(("HGETALL", quota_key("shop", "home", "2026-11-27"))) == [[b"a", b"3"]]


async def test_an_unused_placement_is_forgotten(redis: Multiplexer) -> None:
    replica = ItemQuotaCounts(redis)
    add(replica, "a")
    replica._forget_unused(1e12)
    assert replica._counts, "its counts are not in Redis yet"
    await replica._flush()
    replica._forget_unused(1e12)

    assert not replica._counts
    assert not replica._used.is_set()
