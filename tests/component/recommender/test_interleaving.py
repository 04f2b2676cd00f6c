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


async def test_a_variant_may_be_an_earlier_generation(shop: Any) -> None:
    await shop.lists(6, "user-personalization", dict.fromkeys(USERS, TREATED))
    variants = [
        {"name": "control"},
        {"name": "before", "strategy": "user-personalization@6"},
        {"name": "gone", "strategy": "user-personalization@3"},
    ]
    lists = experiment(shop, name="lists", variants=variants)
    home = experiment(shop, "placement/home", name="home", variants=variants)
    await shop.publish(EXPERIMENTS, lists.changed(), home.changed())
    async with shop.recommender() as caller:
        await follows(caller, {"lists": 1, "home": 1})
        paths = {
            lists.name: f"{V1}/recommendations/{{}}?limit=4",
            home.name: "/api/v1/placements/home?limit=4&user_id={}",
        }
        answers = [
            ((lists if name == "lists" else home).assign(user), await caller.get(path.format(user)))
            for name, path in paths.items()
            for user in USERS
        ]

    expected = {"control": (LISTED, 7), "before": (TREATED, 6), "gone": (LISTED, 7)}
    for variant, answer in answers:
        assert variant is not None
        ranked, generation = expected[variant.name]
        assert ids(answer) == [item_id for item_id, _ in ranked[:4]]
        assert answer.headers["x-recs-generation"] == str(generation)
        assert answer.headers.get("x-variant") == (None if variant.name == "gone" else variant.name)
