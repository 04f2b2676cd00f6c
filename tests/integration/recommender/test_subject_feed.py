"""Announcements of changed histories, from the worker's side to a listener."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.recommender.domain.history_events import HistoryEvent, Login
from services.recommender.store.keys import CHANGED_SUBJECTS
from services.recommender.store.subject_changes import SubjectChanges
from services.recommender.store.subject_feed import SubjectFeed
from shared.redis import Multiplexer
from shared.settings import RedisSettings
from tests.support.waiting import eventually


@pytest.fixture
async def feed(redis_url: str) -> AsyncIterator[SubjectFeed]:
    made = SubjectFeed(RedisSettings(redis_url=redis_url))
    await made.start()
    yield made
    await made.stop()


def viewed(tenant: str, user: str | None, session: str | None) -> HistoryEvent:
    return HistoryEvent(tenant, user, session, "i1", "view", 1.0, "e1")


async def subscribers(redis: Multiplexer) -> int:
    ((_, count),) = await redis.execute(("PUBSUB", "NUMSUB", CHANGED_SUBJECTS))
    return int(count)


async def test_listeners_hear_of_their_subjects_only(redis: Multiplexer, feed: SubjectFeed) -> None:
    heard = {name: asyncio.Event() for name in ("user", "session", "stranger", "foreigner")}
    feed.listen("t", ["u 1"], heard["user"].set)
    feed.listen("t", ["s1", "s2"], heard["session"].set)
    feed.listen("t", ["u3"], heard["stranger"].set)
    feed.listen("other", ["u 1"], heard["foreigner"].set)
    await eventually(lambda: feed.is_subscribed)
    for each in heard.values():
        each.clear()

    await SubjectChanges(redis).announce([viewed("t", "u 1", None), Login("t", "s2", "u2")])

    await eventually(lambda: heard["user"].is_set() and heard["session"].is_set())
    assert not heard["stranger"].is_set()
    assert not heard["foreigner"].is_set()


async def test_a_process_subscribes_only_while_it_has_listeners(
    redis: Multiplexer, feed: SubjectFeed
) -> None:
    assert await subscribers(redis) == 0
    heard = asyncio.Event()
    feed.listen("t", ["u1"], heard.set)
    await eventually(lambda: feed.is_subscribed)
    assert await subscribers(redis) == 1
    # There may have been changes before the subscription.
    assert heard.is_set()

    feed.forget("t", ["u1"], heard.set)

    async def unsubscribed() -> bool:
        return not feed.is_subscribed and await subscribers(redis) == 0

    await eventually(unsubscribed)


async def test_a_lost_connection_is_made_again(redis: Multiplexer, feed: SubjectFeed) -> None:
    heard = asyncio.Event()
    feed.listen("t", ["u1"], heard.set)
    await eventually(lambda: feed.is_subscribed)
    heard.clear()

    await redis.execute(("CLIENT", "KILL", "TYPE", "pubsub"))

    await eventually(heard.is_set)
