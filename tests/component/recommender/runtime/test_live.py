"""Answers follow the events of a visitor: REST lists, guests, logins and streams."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest

from shared.events.topics import CACHES, INTERACTIONS, ITEMS
from shared.kafka import encoded
from shared.kafka.producer import Producer
from tests.component.recommender.campaigns import loaded
from tests.component.recommender.world import KEYS
from tests.support.waiting import PATIENCE, eventually

USER = "user-personalization"
V1 = "/api/v1/personalize/recommendations"
BACKEND = "/api/personalize/recommendations"
EVENTS = int(os.environ.get("FRESHNESS_EVENTS", "50"))
"""Events whose freshness is measured; choose 1,000 for figures."""
LISTED = [("bolt-1", 0.9), ("bolt-2", 0.8), ("bolt-3", 0.7)]


@pytest.fixture
async def lists(own_shop: Any) -> Any:
    """Lists of u1 and u2, and popularity, beside the campaigns."""
    await own_shop.activate(7, 1, [USER, "popularity"])
    await own_shop.lists(7, USER, {"u1": LISTED, "u2": LISTED})
    await own_shop.lists(7, "popularity", {"all": [("bolt-9", 5.0)]})
    await own_shop.publish(CACHES, own_shop.pointer(1, user_personalization=7, popularity=7))
    await own_shop.publish(ITEMS, *(own_shop.item(item_id, name=item_id) for item_id, _ in LISTED))
    return own_shop


@asynccontextmanager
async def serving(shop: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with shop.listening() as url:
        await loaded(url, shop.tenant)
        headers = {"x-api-key": KEYS["read"]}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE) as caller:

            async def listed() -> bool:
                return bool((await caller.get(f"{V1}/u2")).json()["generation"])

            await eventually(listed)
            yield caller


async def body_of(caller: httpx.AsyncClient, path: str) -> Any:
    answer = await caller.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(body: Any) -> list[str]:
    return [row["product_id"] for row in body["recommendations"]]


def mostly(kind: str, body: Any) -> bool:
    return sum(item_id.startswith(kind) for item_id in ids(body)) > len(ids(body)) / 2


async def until_source(caller: httpx.AsyncClient, path: str, source: str, every: float = 0.02) -> Any:
    async def answered() -> Any:
        body = await body_of(caller, path)
        return body if body["source"] == source else None

    return await eventually(answered, every=every)


async def test_a_rest_list_follows_newer_events_of_its_user(lists: Any) -> None:
    async with serving(lists) as caller, lists.worker():
        before = await body_of(caller, f"{V1}/u1?limit=3")
        assert (ids(before), before["source"], before["generation"]) == (
            ["bolt-1", "bolt-2", "bolt-3"],
            "redis",
            7,
        )
        teas = [lists.interaction("view", f"tea-{n}", user_id=user) for n in (1, 2) for user in ("u1", "new")]
        await lists.publish(INTERACTIONS, *teas)

        for user in ("u1", "new"):
            live = await until_source(caller, f"{V1}/{user}?limit=4", "model")
            assert mostly("tea", live), live
            assert live["generation"] is None
            assert {row["algorithm"] for row in live["recommendations"]} == {"aws-user-personalization"}
        assert (await body_of(caller, f"{V1}/u2"))["source"] == "redis"
        # A parameter that the fast path does not know leads to the application.
        fast = await caller.get(f"{V1}/u1?limit=4")
        application = await caller.get(f"{V1}/u1?limit=4&unknown=1")
        assert _without_id(fast) == _without_id(application)
        assert fast.headers["x-recs-source"] == application.headers["x-recs-source"] == "model"


async def test_a_guest_is_known_by_the_session_and_a_login_joins_at_once(lists: Any) -> None:
    async with serving(lists) as caller, lists.worker():
        teas = [lists.interaction("view", f"tea-{n}", session_id="s1") for n in (1, 2, 3)]
        await lists.publish(INTERACTIONS, *teas)

        guest = await until_source(caller, f"{BACKEND}?sessionId=s1&limit=4", "model")
        assert guest["user_id"] is None
        assert mostly("tea", guest), guest
        joined = await body_of(caller, f"{V1}/u1?session_id=s1&limit=4")
        assert (joined["user_id"], joined["source"]) == ("u1", "model")
        assert mostly("tea", joined), joined

        assert (await body_of(caller, f"{V1}/u1?session_id=unknown"))["source"] == "redis"
        assert (await body_of(caller, f"{BACKEND}?session_id=unknown"))["source"] == "popular"
        different = await caller.get(f"{V1}/u1?session_id=a&sessionId=b")
        assert different.status_code == 400


@asynccontextmanager
async def stream(caller: httpx.AsyncClient, path: str) -> AsyncIterator[AsyncIterator[list[str]]]:
    """Yield the lists of a stream as they come."""
    async with caller.stream("GET", path) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"

        async def lists() -> AsyncIterator[list[str]]:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    yield ids(orjson.loads(line[6:]))

        yield lists()


async def test_a_stream_sends_the_list_and_what_changes_it(lists: Any) -> None:
    async with serving(lists) as caller, lists.worker():
        path = "/api/v1/placements/home/stream?user_id=u1&session_id=s1&limit=3"
        async with stream(caller, path) as updates:
            assert await anext(updates) == ["bolt-1", "bolt-2", "bolt-3"]

            await lists.publish(ITEMS, lists.item("bolt-2", name="bolt-2", available=False))
            async with asyncio.timeout(PATIENCE):
                assert await anext(updates) == ["bolt-1", "bolt-3", "bolt-9"]

            # The session has not logged in: its events count because the stream names both.
            teas = [lists.interaction("view", f"tea-{n}", session_id="s1") for n in (1, 2)]
            await lists.publish(INTERACTIONS, *teas)
            async with asyncio.timeout(PATIENCE):
                while sum(item_id.startswith("tea") for item_id in await anext(updates)) < 2:
                    pass
        refused = await caller.get("/api/v1/placements/home/stream")
        assert refused.status_code == 400


async def test_freshness_is_measured(lists: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Print the time from Kafka's acknowledgement, which the tracker's 2xx waits for, to a changed answer."""
    seconds = []
    producer = Producer(lists.kafka, "test")
    async with serving(lists) as caller, lists.worker(), AsyncExitStack() as stack:
        producer.start()
        stack.push_async_callback(producer.stop)
        for n in range(EVENTS):
            event = lists.interaction("view", "tea-1", user_id=f"visitor-{n}")
            record = encoded(event, "test", f"00-{'1' * 32}-{'2' * 16}-00")
            await producer.deliver(INTERACTIONS.name, [record], PATIENCE)
            began = time.perf_counter()
            await until_source(caller, f"{V1}/visitor-{n}?limit=3", "model", every=0.002)
            if n:  # the group had to be formed before the first one
                seconds.append(time.perf_counter() - began)
    hundredths = statistics.quantiles(seconds, n=100)
    median, slowest = hundredths[49] * 1_000, hundredths[98] * 1_000
    with capsys.disabled():
        sys.stdout.write(f"\nfreshness of {len(seconds)} events: p50 {median:.0f} ms, p99 {slowest:.0f} ms\n")
    assert len(seconds) == EVENTS - 1


def _without_id(answer: httpx.Response) -> dict[str, Any]:
    """Return the members of an answer but its id, which no other answer has."""
    return {name: value for name, value in answer.json().items() if name != "recommendation_id"}
