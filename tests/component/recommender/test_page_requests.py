"""Requests of pages in browsers: a limit for each placement, and columns of the items."""

from __future__ import annotations

from typing import Any

import pytest

from shared.events.topics import CACHES, ITEMS
from tests.support.waiting import eventually

PLACEMENTS = "/api/v1/placements"


@pytest.fixture
async def shop(world: Any) -> Any:
    """A tenant with lists of similar items in generation 7, and forty items."""
    await world.activate(7, 1, ["similar-items", "popularity"])
    similar = {"i1": ["i10", "i11", "i12"], "i2": ["i12", "i20"], "i3": ["i30", "i31", "i32"]}
    ranked = {item: [(other, 1 - at / 10) for at, other in enumerate(ids)] for item, ids in similar.items()}
    await world.lists(7, "similar-items", ranked)
    await world.lists(7, "popularity", {"all": [(f"i{n}", 1 - n / 100) for n in range(25, 40)]})
    items = [world.item(f"i{n}", name=f"Item {n}", category="tea") for n in range(40)]
    await world.publish(ITEMS, *items)
    await world.publish(CACHES, world.pointer(1, similar_items=7, popularity=7))
    return world


async def ready(caller: Any) -> None:
    async def whole() -> bool:
        status = (await caller.get("/api/v1/personalize/status")).json()
        return bool(status["activation"] and status["items"] >= 40)

    await eventually(whole)


async def test_placements_of_a_page_have_their_own_limits_and_items(shop: Any) -> None:
    parts = [
        {"placement": "product", "item_id": "i2", "limit": 1},
        {"placement": "product", "limit": 2},
        {"placement": "cart", "cart": ["i3"], "limit": 1},
    ]
    async with shop.recommender() as caller:
        await ready(caller)
        answer = await caller.post("/api/v1/pages", json={"placements": parts, "item_id": "i1"})
        misspelt = await caller.post("/api/v1/pages", json={"placements": [{"placement": "home", "limt": 1}]})

    assert answer.status_code == 200, answer.text
    shown = [[row["product_id"] for row in part["recommendations"]] for part in answer.json()["placements"]]
    assert shown == [["i12"], ["i10", "i11"], ["i30"]]
    assert misspelt.status_code == 400
    assert "limt" in misspelt.json()["detail"]


async def test_answers_contain_the_columns_that_are_requested(shop: Any) -> None:
    columns = "url,image_url,CATEGORY,unknown"
    async with shop.recommender() as caller:
        await ready(caller)
        linked = shop.item(
            "i30", name="Kettle", category="tea", attributes={"url": "/p/i30", "Image URL": "/i.svg"}
        )
        await shop.publish(ITEMS, linked)

        async def first() -> Any:
            path = f"{PLACEMENTS}/product?item_id=i3&limit=1&columns={columns}"
            return (await caller.get(path)).json()["recommendations"][0]["columns"]

        seen = await eventually(first, enough=lambda shown: "url" in shown)
        page = await caller.post(
            "/api/v1/pages", json={"placements": ["product"], "item_id": "i3", "columns": ["url"], "limit": 2}
        )
        without = await caller.get(f"{PLACEMENTS}/product?item_id=i3&limit=1")
        too_many = await caller.get(f"{PLACEMENTS}/home?columns={','.join('abcdefghijk')}")

    assert seen == {"url": "/p/i30", "image_url": "/i.svg", "CATEGORY": "tea"}
    rows = page.json()["placements"][0]["recommendations"]
    assert [row["columns"] for row in rows] == [{"url": "/p/i30"}, {}]
    assert "columns" not in without.json()["recommendations"][0]
    assert too_many.status_code == 400
    assert "at most 10 columns" in too_many.json()["detail"]
