"""Every answer of every route has an id, by which what it contained can be looked up."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.aws.personalize.recommendation_ids import parse
from shared.events.topics import CACHES, ITEMS
from tests.component.recommender.world import World
from tests.support.waiting import eventually

USER = "user-personalization"
RECIPE = f"arn:aws:personalize:::recipe/{USER}"
LISTS = "/api/v1/personalize"
GRAPHQL = """
query Q {
  user: getRecommendations(userId: "u1", limit: 4) { recommendationId items { itemId } }
  category: getRecommendationsByCategory(category: "tea", limit: 4) { recommendationId items { itemId } }
  home: placement(name: "home", userId: "u1", limit: 4) { recommendationId items { itemId } }
}
"""
REQUESTS: dict[str, dict[str, Any]] = {
    "GET /api/personalize/recommendations": {"params": {"userId": "u1"}},
    "GET /api/personalize/recommendations/{product_id}": {},
    "POST /api/v1/pages": {"json": {"placements": ["home", "search"], "user_id": "u1"}},
    f"GET {LISTS}/item-affinity/{{user_id}}": {},
    f"GET {LISTS}/recommendations/by-location": {"params": {"city": "Graz"}},
    f"GET {LISTS}/recommendations/by-segment": {"params": {"segment": "new"}},
    f"GET {LISTS}/recommendations/item-affinity/{{user_id}}": {},
    f"GET {LISTS}/recommendations/similar/{{product_id}}": {},
    f"GET {LISTS}/recommendations/{{user_id}}": {},
    f"GET {LISTS}/similar-items/{{product_id}}": {},
    "GET /api/v1/placements/{name}": {},
    "GET /api/v1/ml/recommendations/{user_id}": {},
    "GET /api/v1/ml/ab-test/recommendations/{user_id}": {"params": {"algorithm": "usual"}},
    "GET /graphql": {"params": {"query": GRAPHQL}},
    "POST /graphql": {"json": {"query": GRAPHQL}},
    "POST /recommendations": {"json": {"campaignArn": RECIPE, "userId": "u1"}},
    "POST /personalize-ranking": {"json": {"campaignArn": RECIPE, "userId": "u1", "inputList": ["i1"]}},
    **{
        f"{route}": {"json": {"current_product": "i1"}} if route.startswith("POST") else {}
        for prefix in ("/shopify", "/api/v1/shopify")
        for route in (
            f"GET {prefix}/popular",
            f"GET {prefix}/similar/{{product_id}}",
            f"POST {prefix}/recommendations",
        )
    },
}
"""A valid request of each route that answers with items."""
OTHERS = {
    "POST /action-recommendations",  # always refused
    "GET /api/v1/ab-test/variant",  # names a variant
    "GET /api/v1/ml/ab-test/config",  # names the variants
    "GET /api/v1/personalize/status",
    "GET /api/v1/placements",
    "GET /v1/user-keys/{user_id}",  # counts keys
    "GET /api/v1/placements/{name}/stream",  # sends the JSON of a placement, and never ends
    "POST /v1/placements/{name}/preview",  # shows nothing to a visitor
    "POST /v1/placements/{name}/replay",  # nor does this
    "GET /v1/placements/{name}/explanation",  # shows nothing to a visitor, either
    "GET /v1/recommendations",
    "GET /v1/recommendations/{recommendation_id}",
}
NAMES = {"{user_id}": "u1", "{product_id}": "i1", "{name}": "home"}
ITEM_LISTS = ("recommendations", "itemList", "personalizedRanking", "similar_products", "popular_products",
              "aggregated_recommendations", "items")  # fmt: skip


@pytest.fixture
async def shop(world: World) -> World:
    """A tenant with lists of a user and of an item."""
    await world.activate(7, 1, [USER, "similar-items", "popularity"])
    await world.lists(7, USER, {"u1": [("i2", 1.0), ("i3", 0.5)]})
    await world.lists(7, "similar-items", {"i1": [("i3", 1.0)]})
    await world.lists(7, "popularity", {"all": [("i4", 0.9), ("i5", 0.8)]})
    await world.publish(ITEMS, *(world.item(f"i{n}", name=f"Item {n}", category="tea") for n in range(8)))
    await world.publish(CACHES, world.pointer(1, user_personalization=7, similar_items=7, popularity=7))
    return world


def answers(body: Any) -> list[dict[str, Any]]:
    """Return the objects of a body that hold an answer, each with its list of items."""
    if "data" in body:
        return list(body["data"].values())
    return list(body.get("placements", [body]))


async def test_every_answer_has_an_id_that_can_be_looked_up(shop: World, tmp_path: Path) -> None:
    async with shop.recommender(state_folder=tmp_path / "state") as caller:
        page = (await caller.get("/openapi.json")).json()
        routes = {f"{method.upper()} {path}" for path, methods in page["paths"].items() for method in methods}
        assert routes == REQUESTS.keys() | OTHERS, "a new route of answers needs a request here"
        await eventually(lambda: _knows_all(caller))

        shown: dict[str, list[tuple[str, list[str]]]] = {}
        for route, request in REQUESTS.items():
            method, path = route.split(" ")
            for placeholder, name in NAMES.items():
                path = path.replace(placeholder, name)
            answer = await caller.request(method, path, **request)
            assert answer.status_code == 200, (route, answer.text)
            shown[route] = [_shown(each) for each in answers(answer.json())]

        for route, listed in shown.items():
            for id_, item_ids in listed:
                assert parse(id_) is not None, route
                # On a busy machine Kafka, which has the answers, may be late: a 503.
                answer = await eventually(
                    partial(caller.get, f"/v1/recommendations/{id_}"),
                    f"the answer of {route} is found",
                    enough=lambda found: found.status_code == 200,
                )
                assert [item["product_id"] for item in answer.json()["items"]] == item_ids, route

        user, category, home = [(await caller.get(f"/v1/recommendations/{id_}")).json()
                                for id_, _ in shown["POST /graphql"]]  # fmt: skip

    assert len({id_ for listed in shown.values() for id_, _ in listed}) == sum(map(len, shown.values()))
    assert [each["surface"] for each in (user, category, home)] == ["graphql"] * 3
    assert [each["target"] for each in (user, category, home)] == [USER, "popularity", None]
    assert [item["strategy"] for item in user["items"]] == [USER, USER, "popularity", "popularity"]
    assert [item["strategy"] for item in home["items"]] == ["for-you", "for-you", "popular", "popular"]
    assert (user["request"], category["request"]) == ({"limit": 4}, {"limit": 4, "category": "tea"})
    assert (user["user_id"], user["source"], user["generation"]) == ("u1", "redis", 7)


async def _knows_all(caller: httpx.AsyncClient) -> bool:
    status = (await caller.get(f"{LISTS}/status")).json()
    home = (await caller.get(f"{LISTS}/recommendations/u1")).json()
    return bool(status["items"] >= 8 and home["source"] == "redis")


def _shown(answer: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the id of an answer, and its items in order."""
    id_ = answer.get("recommendation_id") or answer["recommendationId"]
    rows = next(answer[name] for name in ITEM_LISTS if name in answer)
    names = ("product_id", "itemId", "item_id")
    return id_, [next(row[name] for name in names if name in row) for row in rows]
