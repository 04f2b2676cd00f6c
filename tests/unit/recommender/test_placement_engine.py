"""The engine: chains, exclusions, limits, filling up, and items that must never be shown."""

from __future__ import annotations

from typing import Any

import pytest

from services.recommender.domain.recipes import SIMILAR, USER
from services.recommender.serving.placements.request import PlacementRequest
from shared.errors import ApiError
from shared.events.placements import Exclusions, FilterUse, Placement, StrategyUse
from tests.unit.recommender.placement_shop import ITEMS, NOW, TENANT, Shop, ranked

DAY = 86_400


def a_placement(*names: str, **fields: Any) -> Placement:
    uses: list[Any] = [
        {"strategy": name, "campaign": "c", "recipe": USER, "item_ids": ITEMS[:4]} for name in names
    ]
    return Placement(strategies=tuple(uses), **fields)


def fixed(*item_ids: str, limit: int | None = None) -> StrategyUse:
    return StrategyUse(strategy="fixed", item_ids=item_ids, limit=limit)


async def test_later_strategies_add_what_the_earlier_ones_did_not_name() -> None:
    shop = Shop()
    placement = Placement(
        strategies=(fixed("i1", "i2", "i3", limit=2), fixed("i2", "i3", "i4")), limit=4, fill_up=False
    )

    assert await shop.ids(placement) == ["i1", "i2", "i3", "i4"]
    assert await shop.ids(placement, limit=3) == ["i1", "i2", "i3"]


async def test_a_limit_counts_items_that_are_added_not_those_left_out() -> None:
    shop = Shop()
    shop.state.profile.purchased = {"i1", "i2"}
    placement = Placement(strategies=(fixed("i1", "i2", "i3", "i4", limit=1), fixed("i9")), fill_up=False)

    assert await shop.ids(placement) == ["i3", "i9"]


@pytest.mark.parametrize(
    ("exclude", "expected"),
    [
        (Exclusions(), ["i5"]),
        (Exclusions(purchased=False), ["i2", "i5"]),
        (Exclusions(in_cart=False), ["i3", "i5"]),
        (Exclusions(viewed=True, in_cart=False), ["i3"]),
    ],
)
async def test_exclusions_are_those_of_the_placement(exclude: Exclusions, expected: list[str]) -> None:
    shop = Shop()
    shop.state.profile.purchased = {"i2"}
    shop.views("i5")
    placement = Placement(strategies=(fixed("i1", "i2", "i3", "i4", "i5"),), exclude=exclude, fill_up=False)

    items = await shop.ids(placement, item_id="i1", cart=("i3",), shown=frozenset({"i4"}))

    assert items == expected


async def test_what_was_left_out_is_known_with_the_reason() -> None:
    shop = Shop()
    shop.state.profile.purchased = {"i2"}
    request = PlacementRequest(TENANT, "test", item_id="i1")

    answer = await shop.engine.answer(
        request, Placement(strategies=(fixed("i1", "i2", "i3"),), fill_up=False)
    )

    assert [(each.item_id, each.step) for each in answer.dropped] == [
        ("i1", "requested"),
        ("i2", "purchased"),
    ]


async def test_strategies_that_repeat_keep_what_others_leave_out() -> None:
    shop = Shop()
    shop.views("i1", event_type="purchase", since=NOW - 31 * DAY)
    shop.views("i2")
    shop.state.profile.purchased = {"i1"}
    exclude = Exclusions(viewed=True)
    again = a_placement("buy-again", exclude=exclude, fill_up=False)
    viewed = a_placement("recently-viewed", exclude=exclude, fill_up=False)

    assert await shop.ids(again) == ["i1"]
    assert await shop.ids(viewed) == ["i2"]


async def test_short_answers_go_on_with_category_region_everywhere_and_any_item() -> None:
    shop = Shop()
    shop.popular = {"category:tea": ranked(1), "city:Graz": ranked(2), "all": ranked(3, 2)}
    placement = Placement(strategies=(fixed("i0"),), limit=6)

    answer = await shop.engine.answer(
        PlacementRequest(TENANT, "test", category="tea", city="Graz"), placement
    )

    assert [item.item_id for item in answer.items] == ["i0", "i1", "i2", "i3", "i4", "i5"]
    assert [item.strategy for item in answer.items] == ["fixed"] + ["popular"] * 5
    assert answer.source == b"fixed"


async def test_only_the_category_of_the_request_is_shown() -> None:
    shop = Shop()
    shop.popular = {"all": ranked(*range(10))}
    placement = Placement(strategies=(fixed("i2", "i3"),), only_category=True, limit=3)

    assert await shop.ids(placement, category="TEA") == ["i3", "i1", "i5"]
    assert await shop.ids(placement, item_id="i5") == ["i3", "i1", "i7"]
    assert (await shop.ids(placement))[0] == "i2"


async def test_an_unknown_placement_names_the_known_ones() -> None:
    with pytest.raises(ApiError, match=r"nowhere.*cart, category, email, home") as raised:
        await Shop().engine.answer(PlacementRequest(TENANT, "nowhere"))

    assert raised.value.status == 404


async def test_no_item_is_on_a_page_twice() -> None:
    shop = Shop()
    shop.popular = {"all": ranked(*range(20))}
    shop.lists = {(SIMILAR, "i1"): ranked(2, 3), (USER, "u1"): ranked(3, 4)}

    page = await shop.engine.page(
        [PlacementRequest(TENANT, name, "u1", item_id="i1", limit=3) for name in ("product", "home", "cart")]
    )

    shown = [item.item_id for answer in page for item in answer.items]
    assert len(shown) == len(set(shown)) == 9
    assert "i1" not in shown


TEA = 'INCLUDE ItemID WHERE Items.CATEGORY IN ("tea")'


@pytest.mark.parametrize(
    "rules",
    [
        {"filters": ({"name": "tea"},)},
        {"rules": {"hide": ({"where": 'INCLUDE ItemID WHERE Items.CATEGORY IN ("coffee")'},)}},
    ],
)
async def test_rules_leave_items_out_and_the_strategies_propose_more(rules: dict[str, Any]) -> None:
    shop = Shop()
    shop.add_filter("tea", TEA)
    shop.lists = {(USER, "u1"): ranked(*range(0, 20, 2), *range(1, 20, 2))}
    placement = Placement.model_validate({"strategies": [{"strategy": "for-you"}], "limit": 3, **rules})

    answer = await shop.engine.answer(PlacementRequest(TENANT, "test", "u1", explain=True), placement)

    assert [(item.item_id, item.strategy) for item in answer.items] == [
        ("i1", "for-you"),
        ("i3", "for-you"),
        ("i5", "for-you"),
    ]
    assert {drop.item_id for drop in answer.dropped} >= {"i0", "i2"}
    assert len(answer.facts["rules"]) == 1


async def test_items_that_fill_up_follow_the_rules_too() -> None:
    shop = Shop()
    shop.add_filter("tea", TEA)
    shop.popular = {"all": ranked(2, 3, 4)}
    placement = Placement.model_validate(
        {"strategies": [{"strategy": "for-you"}], "filters": [{"name": "tea"}]}
    )

    items = await shop.ids(placement, limit=20)

    assert items[0] == "i3"
    assert set(items) == {f"i{number}" for number in range(1, 20, 2)}


async def test_only_a_short_answer_is_filled_up_though_boosts_choose_among_more_items() -> None:
    shop = Shop()
    shop.popular = {"all": ranked(*range(10, 20))}
    rules = {"boosts": [{"where": 'INCLUDE ItemID WHERE Items.CATEGORY IN ("tea")', "factor": 100}]}
    placement = Placement.model_validate(
        {"strategies": [{"strategy": "fixed", "item_ids": ["i0", "i2", "i1", "i3"]}], "rules": rules}
    )

    assert await shop.ids(placement, limit=3) == ["i1", "i3", "i0"]
    assert await shop.ids(placement, limit=6) == ["i1", "i3", "i0", "i2", "i11", "i10"]


async def test_pinned_items_stand_at_their_places_but_not_twice_on_a_page() -> None:
    shop = Shop()
    pins = {"pins": [{"item_id": "i9", "position": 2}]}
    placement = Placement.model_validate(
        {"strategies": [{"strategy": "fixed", "item_ids": ["i1", "i2", "i3"]}], "rules": pins, "limit": 3}
    )

    assert await shop.ids(placement) == ["i1", "i9", "i2"]
    assert await shop.ids(placement, shown=frozenset({"i9"})) == ["i1", "i2", "i3"]


async def test_a_filter_on_purchases_keeps_purchased_items() -> None:
    shop = Shop()
    shop.add_filter("bought", 'INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("purchase")')
    shop.state.profile.purchased = {"i1"}
    placement = Placement(strategies=(fixed("i1", "i2"),), filters=(FilterUse(name="bought"),), fill_up=False)

    assert await shop.ids(placement, user_id="u1") == ["i1"]
