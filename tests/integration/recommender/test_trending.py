"""Counts of hours in a real Redis, and the items that they make trending."""

from __future__ import annotations

from collections import Counter

import pytest

from services.recommender.domain.trends import HOUR_SECONDS
from services.recommender.store import trending
from services.recommender.store.keys import trend_key
from services.recommender.store.trending import TrendCounts, Trending
from shared.redis import Multiplexer
from tests.support.waiting import eventually

HOUR = 500_000
NOW = HOUR * HOUR_SECONDS + HOUR_SECONDS / 2


async def test_growth_is_read_once_in_ten_seconds(redis: Multiplexer) -> None:
    counts = TrendCounts(redis)
    await counts.add({("t", HOUR - hours): Counter(steady=10) for hours in range(27)})
    await counts.add(
        {
            ("t", HOUR): Counter({"new ü": 6}),
            ("t", HOUR - 1): Counter({"new ü": 3, "steady": 0}),
            ("t", HOUR - 30): Counter(old=900),
            ("other", HOUR): Counter(foreign=50),
        }
    )
    now = NOW
    trends = Trending(redis, lambda: now)

    # 2.5 of the last three hours have passed: 30 steady events, 25 expected.
    assert await trends.of("t", 5) == [("new ü", 4.5), ("steady", round(5 / 29**0.5, 4))]
    assert await trends.of("t", 1) == [("new ü", 4.5)]
    assert await trends.of("nobody", 5) == []

    await counts.add({("t", HOUR): Counter(newest=90)})
    now = NOW + 9.9
    assert await trends.of("t", 1) == [("new ü", 4.5)]
    now = NOW + 10.1

    async def is_newest() -> bool:
        return [item_id for item_id, _ in await trends.of("t", 1)] == ["newest"]

    await eventually(is_newest)


async def test_an_hour_keeps_its_items_with_most_events_for_two_days(
    redis: Multiplexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trending, "MAX_ITEMS_AN_HOUR", 3)
    counts = TrendCounts(redis)

    for _ in range(2):
        await counts.add({("t", HOUR): Counter(a=5, b=4, c=3, d=1)})

    key = trend_key("t", HOUR)
    members, seconds = await redis.execute(("ZREVRANGE", key, 0, -1, "WITHSCORES"), ("TTL", key))
    assert members == [b"a", b"10", b"b", b"8", b"c", b"6"]
    assert 47 * HOUR_SECONDS < seconds <= 48 * HOUR_SECONDS


async def test_without_redis_what_was_read_stays(redis: Multiplexer) -> None:
    now = NOW
    trends = Trending(redis, lambda: now)
    await TrendCounts(redis).add({("t", HOUR): Counter(a=9)})
    assert await trends.of("t", 5) == [("a", 4.5)]
    await redis.stop()

    now = NOW + 60
    assert await trends.of("t", 5) == [("a", 4.5)]
    assert await trends.of("unread", 5) == []
