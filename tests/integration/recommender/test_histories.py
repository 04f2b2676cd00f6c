"""Histories in a real Redis: sorted, without duplicates, in any order and number of deliveries."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.recommender.domain.history_events import HistoryEvent, Login
from services.recommender.store.histories import Histories
from shared.redis import Multiplexer
from tests.integration.recommender.histories import (
    NOW,
    RETENTION,
    bought,
    event_id,
    expected,
    history,
    history_event,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seconds=st.lists(st.integers(0, 10_000), min_size=1, max_size=160, unique=True),
    seed=st.integers(0, 2**32),
)
async def test_any_order_batching_and_repetition_give_the_same_history(
    redis: Multiplexer, seconds: list[int], seed: int
) -> None:
    await redis.execute(("FLUSHDB",))
    rng = random.Random(seed)
    history_events = [history_event(n, NOW - 20_000 + at) for n, at in enumerate(seconds)]
    delivered = history_events + rng.choices(history_events, k=len(history_events) // 3)
    # Kafka keeps the order per key but for repetitions; sessions and imports do not even that.
    if rng.random() < 0.7:
        rng.shuffle(delivered)
    histories = Histories(redis, RETENTION)
    while delivered:
        size = rng.randrange(1, 40)
        await histories.record(delivered[:size])
        delivered = delivered[size:]

    kept, purchases = expected(history_events)
    assert [(at, event) for _, at, event in await history(redis)] == kept
    assert await bought(redis) == purchases


async def test_events_of_the_same_second_are_each_stored_once(redis: Multiplexer) -> None:
    await redis.execute(("FLUSHDB",))
    history_events = [history_event(n, NOW - n // 10) for n in range(40)]
    for begin in (20, 0, 10, 30, 0):
        await Histories(redis, RETENTION).record(history_events[begin : begin + 10])

    entries = await history(redis)

    assert sorted(event for _, _, event in entries) == sorted(event.event_id for event in history_events)
    assert [seconds for _, seconds, _ in entries] == sorted(
        (event.seconds for event in history_events), reverse=True
    )


async def test_a_replay_of_everything_changes_nothing(redis: Multiplexer) -> None:
    history_events = [history_event(n, NOW - 1000 + n / 4) for n in range(400)]
    await Histories(redis, RETENTION).record(history_events)
    before = await history(redis), await bought(redis)

    for begin in range(0, 400, 37):
        await Histories(redis, RETENTION).record(history_events[begin : begin + 37])

    assert (await history(redis), await bought(redis)) == before
    assert len(before[0]) == 100


async def test_a_session_becomes_its_users_at_login_in_any_order(redis: Multiplexer) -> None:
    anonymous = [history_event(n, NOW - 100 + n, user=None, session="s") for n in range(20)]
    login = history_event(50, NOW, user="u", session="s")
    for late in (0, 5, 20):  # so many of the session's events are handled after the login
        await redis.execute(("FLUSHDB",))
        histories = Histories(redis, RETENTION)
        await histories.record(anonymous[: 20 - late])
        await histories.record([login])
        await histories.record(anonymous[20 - late :])
        await histories.record([login, *anonymous])

        events = [event for _, _, event in await history(redis, "u")]
        assert events == [login.event_id, *(event.event_id for event in reversed(anonymous))]
        assert {"item 0", "item 5", "item 3", "item 1"} <= (await bought(redis, "u")).keys()
        assert login.event_id not in [event for _, _, event in await history(redis, "s")]


async def test_a_login_without_an_item_links_a_session(redis: Multiplexer) -> None:
    histories = Histories(redis, RETENTION)
    await histories.record([history_event(1, NOW, user=None, session="s")])
    for _ in range(2):
        await histories.record([], [Login("shop", "s", "u")])
    await histories.record([history_event(2, NOW + 1, user=None, session="s")])

    assert [event for _, _, event in await history(redis)] == [event_id(2), event_id(1)]


async def test_a_session_belongs_to_its_first_user(redis: Multiplexer) -> None:
    histories = Histories(redis, RETENTION)
    await histories.record([history_event(1, NOW - 10, user=None, session="s")])
    await histories.record([history_event(2, NOW - 5, user="first", session="s")])
    await histories.record([history_event(3, NOW, user="second", session="s")])

    assert [event for _, _, event in await history(redis, "second")] == [event_id(3)]
    assert [event for _, _, event in await history(redis, "first")] == [event_id(2), event_id(1)]


async def test_purchases_before_the_look_back_are_not_stored(redis: Multiplexer) -> None:
    await Histories(redis, RETENTION).record(
        [history_event(0, NOW - 31 * 86_400), history_event(5, NOW - 29 * 86_400), history_event(10, NOW)]
    )

    assert await bought(redis) == {"item 5": NOW - 29 * 86_400, "item 3": NOW}


async def test_everything_expires(redis: Multiplexer) -> None:
    histories = Histories(redis, RETENTION)
    await histories.record(
        [history_event(0, NOW - 1, user=None, session="s"), history_event(5, NOW, session="s")]
    )
    (keys,) = await redis.execute(("KEYS", "endcap:*"))

    ttls = await redis.execute(*(("TTL", key) for key in keys))

    assert len(keys) == 6
    assert all(0 < ttl <= 90 * 86_400 for ttl in ttls)


async def test_a_redis_without_the_scripts_gets_them(redis: Multiplexer) -> None:
    histories = Histories(redis, RETENTION)
    for n in range(3):
        await redis.execute(("SCRIPT", "FLUSH"))
        await histories.record([history_event(n, NOW + n)])

    assert len(await history(redis)) == 3


def purchase(n: int, seconds: float, user: str | None = "u", session: str | None = None) -> HistoryEvent:
    return HistoryEvent("shop", user, session, "cup", "purchase", seconds, event_id(n))


@pytest.mark.parametrize("n", [0, 1], ids=["plain id", "id with a quote"])
async def test_a_removed_event_is_neither_in_the_history_nor_among_purchases(
    redis: Multiplexer, n: int
) -> None:
    histories = Histories(redis, RETENTION)
    await histories.record([history_event(2, NOW - 5), purchase(n, NOW - 3)])

    for _ in range(2):
        await histories.remove([purchase(n, NOW - 3)])

    assert [event for _, _, event in await history(redis)] == [event_id(2)]
    assert await bought(redis) == {}


async def test_another_purchase_of_the_item_remains(redis: Multiplexer) -> None:
    histories = Histories(redis, RETENTION)
    await histories.record([purchase(1, NOW - 9), purchase(2, NOW - 5), purchase(3, NOW - 2)])

    await histories.remove([purchase(3, NOW - 2)])
    after_the_newest = await bought(redis)
    await histories.remove([purchase(1, NOW - 9)])

    assert after_the_newest == await bought(redis) == {"cup": NOW - 5}
    assert [event for _, _, event in await history(redis)] == [event_id(2)]


async def test_removing_a_claim_that_was_delivered_twice_leaves_no_purchase(redis: Multiplexer) -> None:
    histories = Histories(redis, RETENTION)
    await histories.record([purchase(1, NOW - 9)])
    await histories.record([purchase(1, NOW - 4)])

    await histories.remove([purchase(1, NOW - 9)])

    assert (await history(redis), await bought(redis)) == ([], {})


async def test_a_purchase_older_than_the_stored_events_remains(redis: Multiplexer) -> None:
    histories = Histories(redis, RETENTION)
    await histories.record([purchase(1, NOW - 500)])
    await histories.record([history_event(5 * n + 6, NOW - 300 + n) for n in range(100)])
    await histories.remove([purchase(3, NOW - 2)])

    assert await bought(redis) == {"cup": NOW - 500}


async def test_removing_an_event_of_a_session_removes_it_from_its_user(redis: Multiplexer) -> None:
    histories = Histories(redis, RETENTION)
    await histories.record(
        [purchase(1, NOW - 3, user=None, session="s"), history_event(2, NOW - 1, session="s")]
    )
    assert await bought(redis) == {"cup": NOW - 3}

    await histories.remove([purchase(1, NOW - 3, user=None, session="s")])

    assert (await bought(redis), await bought(redis, "s")) == ({}, {})
    assert [event for _, _, event in await history(redis)] == [event_id(2)]
    assert await history(redis, "s") == []


async def test_removing_an_event_loads_missing_scripts(redis: Multiplexer) -> None:
    histories = Histories(redis, RETENTION)
    await histories.record([purchase(1, NOW - 3)])
    await redis.execute(("SCRIPT", "FLUSH"))

    await histories.remove([purchase(1, NOW - 3)])

    assert await history(redis) == []
