"""GetRecommendations with an item for users whom nobody knows: what goes with the item."""

from __future__ import annotations

import asyncio
from typing import Any

from shared.events.topics import CACHES, INTERACTIONS
from tests.component.recommender.campaigns import arn, client, ids, loaded
from tests.support.waiting import eventually

USER_RECIPE = "arn:aws:personalize:::recipe/user-personalization"


async def test_models_answer_what_goes_with_the_item(own_shop: Any) -> None:
    async with own_shop.listening() as url, own_shop.worker():
        await loaded(url, own_shop.tenant, 4)
        runtime = client(url)

        async def asked(user: str, item: str = "bolt-1") -> list[str]:
            answer = await asyncio.to_thread(
                runtime.get_recommendations, campaignArn=arn("user"), userId=user, itemId=item, numResults=6
            )
            return ids(answer)

        for nobody in ("null", "undefined", "stranger"):
            related = await asked(nobody)
            assert len(related) == 6
            assert all(item.startswith("bolt") for item in related)
            assert "bolt-1" not in related
        assert all(item.startswith("tea") for item in await asked("u0"))

        views = [own_shop.interaction("view", item, user_id="stranger") for item in ("tea-1", "tea-2")]
        await own_shop.publish(INTERACTIONS, *views)

        async def is_known() -> bool:
            return all(item.startswith("tea") for item in await asked("stranger"))

        await eventually(is_known)


async def test_lists_answer_without_models(world: Any) -> None:
    await world.activate(7, 1, ["user-personalization", "similar-items", "popularity"])
    await world.lists(7, "user-personalization", {"u1": [("i5", 1.0), ("i6", 0.5)]})
    await world.lists(7, "similar-items", {"i1": [("i2", 1.0), ("i3", 0.5)]})
    await world.lists(7, "popularity", {"all": [("i9", 1.0), ("i8", 0.5)]})
    await world.publish(CACHES, world.pointer(1, user_personalization=7, similar_items=7, popularity=7))
    async with world.recommender() as caller:

        async def asked(user_id: str, item_id: str) -> list[str]:
            body = {"campaignArn": USER_RECIPE, "userId": user_id, "itemId": item_id}
            answer = await caller.post("/recommendations", json=body)
            return [item["itemId"] for item in answer.json()["itemList"]]

        async def is_active() -> bool:
            return await asked("u1", "i1") == ["i5", "i6"]

        await eventually(is_active)
        for user in ("null", "stranger"):
            assert await asked(user, "i1") == ["i2", "i3"]
            assert await asked(user, "i9") == ["i8"]
