"""Interleaved answers of REST lists and placements: the served record says which variant picked each item."""

from __future__ import annotations

from typing import Any

from shared.events.topics import EXPERIMENTS
from tests.component.recommender.test_experiments import (
    LISTED,
    TREATED,
    USERS,
    V1,
    experiment,
    exposures,
    follows,
    ids,
    shop,
)

__all__ = ["shop"]

DESIGN = {"kind": "interleaving"}
RANKED = {
    "control": [item_id for item_id, _ in LISTED[:10]],
    "treatment": [item_id for item_id, _ in TREATED],
}


async def test_answers_have_items_of_both_variants_and_name_who_picked_them(shop: Any) -> None:
    lists = experiment(shop, name="lists", design=DESIGN)
    home = experiment(shop, "placement/home", name="home", design=DESIGN)
    await shop.publish(EXPERIMENTS, lists.changed(), home.changed())
    async with shop.recommender() as caller:
        await follows(caller, {"lists": 1, "home": 1})
        answers = [await caller.get(f"{V1}/recommendations/{user}?limit=4") for user in USERS]
        answers += [
            await caller.get(f"/api/v1/placements/home?user_id={user}&limit=4") for user in USERS[:10]
        ]
        front_end = await caller.post("/recommendations", json={"user_id": "u1", "num_results": 4})
        shown = [
            (await caller.get(f"/v1/recommendations/{answer.json()['recommendation_id']}")).json()
            for answer in [*answers, front_end]
        ]
        events = await exposures(shop)

    for answer, serving in zip([*answers, front_end], shown, strict=True):
        assert answer.headers["x-variant"] == "interleaved"
        assert serving["experiment"]["variant"] == "interleaved"
        picked = [(item["picked_by"], item["product_id"]) for item in serving["items"]]
        assert [item_id for _, item_id in picked] == (
            [row["item_id"] for row in answer.json()["recommendations"]]
            if answer is front_end
            else ids(answer)
        )
        assert [variant for variant, _ in picked].count("control") == 2
        for variant, ranked in RANKED.items():
            assert [item for by, item in picked if by == variant] == ranked[:2]
    assert {event["variant"] for event in events} == {"interleaved"}
    assert {event["unit"] for event in events} == set(USERS)
    assert not [event for event in events if "propensity" in event]
