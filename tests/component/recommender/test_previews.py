"""A preview over HTTP: recent requests from Kafka, or the request that the caller names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.events import PlacementChanged
from shared.events.topics import CACHES, ITEMS, PLACEMENTS
from tests.component.recommender.world import KEYS, World
from tests.support.waiting import eventually

USER = "user-personalization"
PREVIEW = "/v1/placements/home/preview"
NAMES = {
    "kettle": "Blue Kettle",
    "pot": "Tea Pot",
    "cup": "Cup with Saucer",
    "filter": "Paper Filters",
    "beans": "Coffee Beans",
}
HOME: dict[str, Any] = {"strategies": [{"strategy": "for-you"}], "limit": 3}
CHANGED: dict[str, Any] = {
    **HOME,
    "rules": {
        "pins": [{"item_id": "cup", "position": 1}],
        "hide": [{"where": 'INCLUDE ItemID WHERE Items.CATEGORY IN ("kitchen")'}],
    },
}


@pytest.fixture
async def shop(world: World) -> World:
    """A tenant with five items, lists of two users, and a placement."""
    await world.keys()
    await world.activate(7, 1, [USER, "popularity"])
    await world.lists(
        7,
        USER,
        {"c-0001": [("kettle", 0.9), ("pot", 0.7), ("beans", 0.5)], "c-0002": [("pot", 0.8), ("cup", 0.6)]},
    )
    await world.lists(7, "popularity", {"all": [("beans", 0.9), ("filter", 0.8)]})
    category = {"kettle": "kitchen"}
    await world.publish(
        ITEMS,
        *(
            world.item(item_id, name=name, price=9.5, category=category.get(item_id, "tea"))
            for item_id, name in NAMES.items()
        ),
    )
    await world.publish(PLACEMENTS, placement(world, HOME))
    await world.publish(CACHES, world.pointer(1, user_personalization=7, popularity=7))
    return world


def placement(world: World, definition: dict[str, Any]) -> PlacementChanged:
    fields: dict[str, Any] = {"name": "home", "revision": 4, "placement": definition}
    return PlacementChanged(event_id="home-4", tenant=world.tenant, occurred_at=datetime.now(UTC), **fields)


async def test_recent_requests_are_answered_by_the_changed_placement(shop: World, tmp_path: Any) -> None:
    async with shop.recommender(state_folder=tmp_path / "state") as caller:

        async def knows_all() -> bool:
            answer = (await caller.get("/api/v1/placements/home?user_id=c-0001&explain=1")).json()
            names = [row["product_name"] for row in answer["recommendations"]]
            return bool(answer["revision"] == 4 and names == ["Blue Kettle", "Tea Pot", "Coffee Beans"])

        await eventually(knows_all)
        await caller.get("/api/v1/placements/home?user_id=c-0002&limit=2")

        async def repeated() -> bool:
            answer = await caller.post(f"{PREVIEW}?requests=2", json=CHANGED)
            assert answer.status_code == 200, answer.text
            return bool([each["user_id"] for each in answer.json()["answers"]] == ["c-0002", "c-0001"])

        explained = (await caller.get("/v1/placements/home/explanation?user_id=c-0003")).json()
        assert explained["recommendation_id"] == ""
        assert explained["explanation"]["items"][0]["sentence"]

        await eventually(repeated)  # the last answers are published within a moment
        body = (await caller.post(f"{PREVIEW}?requests=2", json=CHANGED)).json()
        equal = (await caller.post(f"{PREVIEW}?requests=2", json=HOME)).json()

    assert {name: body[name] for name in ("placement", "revision", "is_new", "requests", "changed")} == {
        "placement": "home",
        "revision": 4,
        "is_new": False,
        "requests": 2,
        "changed": 2,
    }
    assert (body["added"], body["removed"], body["moved"]) == (1, 1, 2)
    second, first = body["answers"]
    assert first["product_ids"] == ["cup", "pot", "beans"]
    assert first["added"] == [
        {
            "product_id": "cup",
            "product_name": "Cup with Saucer",
            "position": 1,
            "strategy": "pin",
            "sentence": "Chosen by the shop",
        }
    ]
    assert first["removed"] == [
        {
            "product_id": "kettle",
            "product_name": "Blue Kettle",
            "previous_position": 1,
            "step": "hide",
            "sentence": "A rule hides it",
        }
    ]
    assert first["moved"] == []
    assert second["product_ids"] == ["cup", "pot"]
    assert {each["product_id"]: each["previous_position"] for each in second["moved"]} == {"cup": 2, "pot": 1}
    assert (equal["changed"], equal["added"], equal["removed"], equal["moved"]) == (0, 0, 0, 0)


async def test_a_preview_of_a_named_visitor_and_what_is_refused(shop: World, tmp_path: Any) -> None:
    async with shop.recommender(state_folder=tmp_path / "state") as caller:
        unrequested = await caller.post("/v1/placements/landing/preview", json=CHANGED)
        # On a busy machine Redis and Postgres may be too slow for the first requests.
        named = await eventually(
            lambda: caller.post("/v1/placements/landing/preview?user_id=c-0002", json=CHANGED),
            enough=lambda answer: answer.json()["answers"][0]["product_ids"] == ["cup", "pot", "beans"],
        )
        invalid = await caller.post(PREVIEW, json={**CHANGED, "limitt": 3})
        unknown = await caller.post(PREVIEW, json={**CHANGED, "filters": [{"name": "nowhere"}]})
        reader = await caller.post(PREVIEW, json=CHANGED, headers={"x-api-key": KEYS["read"]})

    assert (unrequested.status_code, unrequested.json()["error"]) == (409, "NoRecentRequests")
    assert "user_id" in unrequested.json()["detail"]
    assert (named.status_code, named.json()["is_new"]) == (200, True)
    for refused, complaint in ((invalid, "limitt"), (unknown, "nowhere")):
        assert (refused.status_code, refused.json()["error"]) == (400, "InvalidPlacement")
        assert complaint in refused.json()["detail"]
    assert reader.status_code == 403
