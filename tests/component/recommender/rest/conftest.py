"""A shop whose lists are in Redis and Postgres, and readers of REST answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.events.topics import CACHES, ITEMS
from tests.support.waiting import eventually

USER = "user-personalization"
LISTED = [(f"i{n}", round(1 - n / 100, 2)) for n in range(30)]


@pytest.fixture(scope="module")
async def shop(module_world: Any) -> Any:
    """Return a tenant with lists and items, which the tests of a module share."""
    return await _filled(module_world)


@pytest.fixture(scope="module")
async def caller(shop: Any) -> AsyncIterator[Any]:
    """Yield a client of the recommender that the tests of a module share."""
    async with shop.recommender() as client:
        await ready(client)
        yield client


@pytest.fixture
async def own_shop(world: Any) -> Any:
    """Return a tenant with lists and items for a test that changes them."""
    return await _filled(world)


async def _filled(world: Any) -> Any:
    """Put lists into generation 7, and thirty items."""
    await world.activate(7, 1, [USER, "similar-items", "item-affinity", "popularity"])
    await world.lists(7, USER, {"u1": LISTED, "a/b:c ü": LISTED[:3]})
    await world.lists(7, "similar-items", {"i1": LISTED[2:9]})
    await world.lists(7, "item-affinity", {"u1": LISTED[5:8]})
    await world.lists(
        7, "popularity", {"all": LISTED[10:25], "country:Germany": LISTED[20:23], "city:Köln": LISTED[28:]}
    )
    items = [world.item(f"i{n}", name=f"Item {n}", price=n + 0.5) for n in range(30)]
    await world.publish(ITEMS, *items)
    await world.publish(
        CACHES, world.pointer(1, user_personalization=7, similar_items=7, item_affinity=7, popularity=7)
    )
    return world


async def ready(caller: Any, items: int = 30) -> None:
    async def whole() -> bool:
        status = (await caller.get("/api/v1/personalize/status")).json()
        return bool(status["activation"] and status["items"] >= items and status["redis"])

    await eventually(whole)


def ids(answer: Any) -> list[str]:
    return [entry["product_id"] for entry in answer.json()["recommendations"]]


FAMOUS = range(10, 25)


async def _activated(caller: Any) -> bool:
    return bool((await caller.get("/api/v1/personalize/status")).json()["activation"])
