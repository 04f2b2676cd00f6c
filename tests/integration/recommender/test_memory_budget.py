"""Limits of the memory that invented users, sessions and items take of a real Redis."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import pytest

from services.recommender.domain.history_events import HistoryEvent
from services.recommender.metrics import DROPPED_HISTORIES
from services.recommender.store import impression_counts as impression_counts_module
from services.recommender.store.histories import Histories, Retention
from services.recommender.store.impression_counts import ImpressionCounts
from services.recommender.store.keys import (
    answer_key,
    history_key,
    impressions_key,
    link_key,
    purchases_key,
    subjects_key,
)
from services.recommender.store.memory_budget import MemoryBudget
from services.recommender.store.scripts import MAX_PURCHASED_ITEMS
from shared.redis import Multiplexer, Unavailable
from shared.settings import RedisSettings
from tests.support.waiting import PATIENCE, eventually

RETENTION = Retention(purchases=timedelta(days=30), history=timedelta(days=90), session=timedelta(days=14))
BUDGET = 100_000


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Multiplexer]:
    connection = Multiplexer(RedisSettings(redis_url=redis_url), timeout=PATIENCE)
    await connection.start()
    await eventually(lambda: connection.up)
    await connection.execute(("FLUSHDB",))
    yield connection
    await connection.stop()


def history_event(
    n: int, tenant: str = "shop", *, user: str | None = None, session: str | None = None, kind: str = "view"
) -> HistoryEvent:
    return HistoryEvent(tenant, user, session, f"item {n}", kind, time.time() + n / 1000, f"event {n}")


async def live(redis: Multiplexer, tenant: str, subjects: list[str]) -> list[str]:
    exists_flags = await redis.execute(*(("EXISTS", history_key(tenant, subject)) for subject in subjects))
    return [subject for subject, exists in zip(subjects, exists_flags, strict=True) if exists]


async def test_beyond_the_budget_sessions_are_dropped_before_users(redis: Multiplexer) -> None:
    budget = MemoryBudget(redis, BUDGET)
    histories = Histories(redis, RETENTION, budget)
    users = [f"user {n}" for n in range(100)]
    await histories.record([history_event(n, user=user) for n, user in enumerate(users)])
    await histories.record([history_event(n, "other", session=f"session {n}") for n in range(50)])
    assert await budget.trim(["shop", "other"]) == 0
    sessions = [f"made up {n}" for n in range(1_000)]
    await histories.record([history_event(n, session=session) for n, session in enumerate(sessions)])
    before = DROPPED_HISTORIES._value.get()

    dropped = await budget.trim(["shop", "other", "unknown"])

    assert DROPPED_HISTORIES._value.get() - before == dropped
    assert await live(redis, "shop", users) == users
    assert len(await live(redis, "shop", sessions)) == 1_000 - dropped
    assert len(await live(redis, "other", [f"session {n}" for n in range(50)])) == 50
    assert 0 < 0.7 * BUDGET < await _bytes(redis, "shop") <= BUDGET
    assert await budget.trim(["shop"]) == 0


async def _bytes(redis: Multiplexer, tenant: str) -> int:
    (keys,) = await redis.execute(("KEYS", f"endcap:*{tenant}*"))
    return sum(await redis.execute(*(("MEMORY", "USAGE", key, "SAMPLES", 0) for key in keys)))


async def test_a_full_redis_drops_histories_of_the_largest_tenant(redis: Multiplexer) -> None:
    budget = MemoryBudget(redis, 10 * BUDGET)
    histories = Histories(redis, RETENTION, budget)
    await histories.record([history_event(n, "large", session=f"s{n}") for n in range(300)])
    await histories.record([history_event(n, "small", session=f"s{n}") for n in range(30)])
    await budget.trim(["large", "small"])

    class Full:
        """A Redis that is out of memory for scripts."""

        async def execute(self, *commands: Any) -> list[Any]:
            if commands[0][0] == "EVALSHA":
                raise Unavailable("Redis can't do this now: OOM command not allowed")
            return await redis.execute(*commands)

    full = cast("Multiplexer", Full())
    with pytest.raises(Unavailable):  # so the same events come again
        await Histories(full, RETENTION, MemoryBudget(full, None)).record(
            [history_event(1, "small", user="u")]
        )
    await ImpressionCounts(full).count({"small": Counter(a=1)})  # less is worth less

    counts = await redis.execute(*(("ZCARD", subjects_key(tenant)) for tenant in ("large", "small")))
    assert counts == [270, 30]
    assert len(await live(redis, "large", [f"s{n}" for n in range(300)])) == 270


async def test_every_key_of_a_subject_expires_and_is_dropped_with_it(redis: Multiplexer) -> None:
    budget = MemoryBudget(redis, BUDGET)
    histories = Histories(redis, RETENTION, budget)
    await histories.record([history_event(1, session="s"), history_event(2, session="s", kind="purchase")])
    await histories.record([history_event(3, user="u", session="s"), history_event(4, session="s")])
    keys = [history_key("shop", "s"), purchases_key("shop", "s"), link_key("shop", "s"), subjects_key("shop")]

    ends = await redis.execute(*(("TTL", key) for key in keys))
    (until,) = await redis.execute(("ZRANGE", subjects_key("shop"), 0, -1, "WITHSCORES"))
    await budget._drop("shop", 1)

    assert all(0 < seconds <= 90 * 86_400 for seconds in ends)
    subjects = dict(zip(until[::2], map(float, until[1::2]), strict=True))
    assert subjects[b"s"] - time.time() == pytest.approx(14 * 86_400, abs=3_601)
    assert subjects[b"u"] - time.time() == pytest.approx(90 * 86_400, abs=3_601)
    assert await redis.execute(*(("EXISTS", key) for key in keys)) == [0, 0, 0, 1]
    assert await live(redis, "shop", ["u"]) == ["u"]


async def test_purchases_and_ids_of_a_subject_are_bounded(redis: Multiplexer) -> None:
    histories = Histories(redis, RETENTION)
    await histories.record(
        [history_event(n, user="u", kind="purchase") for n in range(MAX_PURCHASED_ITEMS + 50)]
    )
    (bought,) = await redis.execute(("ZRANGE", purchases_key("shop", "u"), 0, -1))
    assert (len(bought), bought[0]) == (MAX_PURCHASED_ITEMS, b"item 50")

    long = HistoryEvent("shop", "v", None, "i", "view", time.time(), "x" * 256)
    for _ in range(2):
        await histories.record([long])
    (entries,) = await redis.execute(("LRANGE", history_key("shop", "v"), 0, -1))
    assert len(entries) == 1
    assert len(entries[0]) < 100


async def test_only_items_that_are_explored_are_counted(
    redis: Multiplexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = ImpressionCounts(redis)
    made_up = Counter({f"made up {n}": 1 for n in range(5_000)})
    await counts.count({"shop": made_up})
    assert await redis.execute(("EXISTS", impressions_key("shop"))) == [0]

    assert await counts.of_items("shop", ["a", "b"]) == [0, 0]
    await counts.count({"shop": made_up + Counter(a=2), "other": Counter(a=9)})
    await counts.count({"shop": Counter(a=1)})

    assert await counts.of_items("shop", ["b", "a"]) == [0, 3]
    assert await redis.execute(("HLEN", impressions_key("shop")), ("EXISTS", impressions_key("other"))) == [
        2,
        0,
    ]
    (seconds,) = await redis.execute(("TTL", impressions_key("shop")))
    assert seconds > 0
    # Fields of items that are no longer explored go when there are too many.
    monkeypatch.setattr(impression_counts_module, "MAX_COUNTED_ITEMS", 2)
    assert await counts.of_items("shop", ["a", "c"]) == [3, 0]
    assert await redis.execute(("HKEYS", impressions_key("shop"))) == [[b"c"]]
    await counts.remember("shop", "answer", [f"item {n}" for n in range(500)])
    assert len((await counts.take([("shop", "answer")]))[0]) == impression_counts_module.MAX_ANSWER_ITEMS
    assert await redis.execute(("EXISTS", answer_key("shop", "answer"))) == [0]
