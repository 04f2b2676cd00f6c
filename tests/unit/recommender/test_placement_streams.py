"""Streams of placements: when an event is sent, and how a stream ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, cast

import orjson
import pytest

from services.recommender.api import placement_streams
from services.recommender.api.placement_answers import PlacementAnswers
from services.recommender.api.placement_streams import HEARTBEAT, RECONNECT, PlacementStreams
from services.recommender.serving.placements.request import PlacementRequest
from shared.errors import ApiError
from tests.unit.recommender.placement_shop import TENANT, Shop, ranked

REQUEST = PlacementRequest(TENANT, "home", user_id="u1", session_id="s1", limit=3)


class Feed:
    """A feed whose changes a test announces."""

    is_subscribed = True

    def __init__(self) -> None:
        self.listeners: dict[str, list[Callable[[], None]]] = {}

    async def start(self) -> None:
        """Do nothing."""

    stop = start

    def alive(self) -> None:
        """Return None: the feed has no connection."""

    def listen(self, _tenant: str, subjects: Iterable[str], listener: Callable[[], None]) -> None:
        for subject in subjects:
            self.listeners.setdefault(subject, []).append(listener)

    def forget(self, _tenant: str, subjects: Iterable[str], listener: Callable[[], None]) -> None:
        for subject in subjects:
            self.listeners[subject].remove(listener)

    def change(self, subject: str) -> None:
        for listener in self.listeners.get(subject, ()):
            listener()


class Recorder:
    """A recorder whose answers all have the same id."""

    def placement(self, _: object) -> str:
        return "RID-1"


class Streams(PlacementStreams):
    """Streams of a shop, whose feed is at hand."""

    def __init__(self, shop: Shop, limit: int = 2, seconds: float = 60.0) -> None:
        self.feed = Feed()
        catalogues = cast("Any", shop)
        answers = PlacementAnswers(shop.engine, catalogues, cast("Any", Recorder()))
        super().__init__(
            answers, catalogues, cast("Any", self.feed), lambda: True, limit=limit, seconds=seconds
        )

    async def events(self, request: PlacementRequest = REQUEST) -> AsyncIterator[bytes]:
        return cast("AsyncIterator[bytes]", (await self.open(request)).body_iterator)


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(placement_streams, "LEAST_SECONDS", 0.01)
    monkeypatch.setattr(placement_streams, "ITEMS_SECONDS", 0.01)
    made = Shop()
    made.popular = {"all": ranked(1, 2, 3, 4)}
    return made


def item_ids(event: bytes) -> list[str]:
    data = next(line for line in event.splitlines() if line.startswith(b"data: "))
    return [row["product_id"] for row in orjson.loads(data[6:])["recommendations"]]


async def test_the_list_is_sent_at_once_and_again_when_the_subjects_answer_changes(shop: Shop) -> None:
    streams = Streams(shop)
    events = await streams.events()

    first = await anext(events)
    assert first.startswith(RECONNECT + b"id: ")
    assert b"\nevent: recommendations\n" in first
    assert item_ids(first) == ["i1", "i2", "i3"]
    for subject, best in (("u1", 5), ("s1", 6)):
        shop.popular = {"all": ranked(best, 1, 2)}
        streams.feed.change(subject)
        assert item_ids(await anext(events)) == [f"i{best}", "i1", "i2"]


async def test_an_equal_list_is_not_sent_again_but_a_heartbeat_is(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement_streams, "HEARTBEAT_SECONDS", 0.05)
    streams = Streams(shop)
    events = await streams.events()
    await anext(events)

    streams.feed.change("u1")

    assert await anext(events) == HEARTBEAT


async def test_a_stream_looks_for_changes_itself_while_none_are_announced(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement_streams, "POLL_SECONDS", 0.02)
    streams = Streams(shop)
    streams.feed.is_subscribed = False
    events = await streams.events()
    await anext(events)

    shop.popular = {"all": ranked(9)}

    assert item_ids(await anext(events))[0] == "i9"


async def test_an_item_that_is_out_of_stock_leaves_an_open_stream(shop: Shop) -> None:
    streams = Streams(shop)
    await streams.start()
    events = await streams.events()
    await anext(events)

    shop.withdraw("i2")

    assert item_ids(await anext(events)) == ["i1", "i3", "i4"]
    await streams.stop()


async def test_streams_end_with_the_process_and_after_their_time(shop: Shop) -> None:
    streams = Streams(shop)
    events = await streams.events()
    await anext(events)
    waiting = asyncio.create_task(anext(events, None))
    await asyncio.sleep(0.02)
    await streams.stop()
    assert await waiting is None

    short = await Streams(shop, seconds=0.02).events()
    await anext(short)
    assert [event async for event in short] == []


async def test_too_many_streams_are_refused_and_ended_ones_do_not_count(shop: Shop) -> None:
    streams = Streams(shop, limit=1)
    first = await streams.open(REQUEST)

    with pytest.raises(ApiError) as refused:
        await streams.open(REQUEST)
    assert (refused.value.status, refused.value.retry_after) == (429, 5)

    first._release()
    assert streams.feed.listeners == {"u1": [], "s1": []}
    await streams.open(REQUEST)


async def test_a_stream_needs_a_visitor_and_a_placement(shop: Shop) -> None:
    streams = Streams(shop, limit=1)

    with pytest.raises(ApiError) as nobody:
        await streams.open(PlacementRequest(TENANT, "home"))
    assert nobody.value.status == 400
    with pytest.raises(ApiError) as unknown:
        await streams.open(PlacementRequest(TENANT, "nowhere", user_id="u1"))
    assert unknown.value.status == 404
    await streams.open(REQUEST)
