"""Previews: what a changed definition adds, removes and moves, without a trace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from services.recommender.serving.placements.previews import AnswerChange, Previews
from services.recommender.serving.placements.request import PlacementRequest
from shared.errors import Permanent
from shared.events import PlacementChanged
from shared.events.placements import FilterUse, Pin, Placement, Quota, Rules, StrategyUse
from shared.events.servings import Serving
from tests.unit.recommender.placement_shop import TENANT, Shop
from tests.unit.recommender.rule_worlds import Quotas

NOW = datetime.now(UTC)


def fixed(*item_ids: str, **members: Any) -> Placement:
    return Placement(strategies=(StrategyUse(strategy="fixed", item_ids=item_ids),), fill_up=False, **members)


class Log:
    """Servings, as servings-v1 has them."""

    def __init__(self, *servings: Serving) -> None:
        self.servings = servings

    async def recent(self, _tenant: str, placement: str, count: int) -> list[Serving]:
        return [each for each in self.servings if each.placement == placement][:count]


class Erased:
    """Erased users."""

    async def contains(self, _tenant: str, serving: Serving) -> bool:
        return serving.user_id == "erased"


def previews(shop: Shop, *servings: Serving) -> Previews:
    log: Any = Log(*servings)
    erased: Any = Erased()
    campaigns: Any = Campaigns()
    return Previews(shop.engine, log, erased, campaigns, shop.filters, timedelta(hours=48))


class Campaigns:
    """A tenant with one campaign."""

    async def find(self, _tenant: str, _account: None, name: str) -> object | None:
        return name if name == "winter" else None


def define(shop: Shop, placement: Placement, name: str = "home") -> None:
    announced = PlacementChanged(
        event_id="e", tenant=TENANT, occurred_at=NOW, name=name, revision=3, placement=placement
    )
    shop.placements.apply(f"{TENANT}:{name}", announced)


async def compared(shop: Shop, changed: Placement, name: str = "home") -> AnswerChange:
    (change,) = await previews(shop).compare([PlacementRequest(TENANT, name, "u1")], changed)
    return change


async def test_items_come_go_and_move() -> None:
    shop = Shop()
    define(shop, fixed("i1", "i2", "i3", "i4"))
    shop.add_filter("no-tea", 'EXCLUDE ItemID WHERE Items.CATEGORY IN ("tea")')

    change = await compared(shop, fixed("i4", "i3", "i2", "i6", filters=(FilterUse(name="no-tea"),)))

    assert [item.item_id for item in change.items] == ["i4", "i2", "i6"]
    assert [(each.item.item_id, each.position) for each in change.added] == [("i6", 3)]
    assert [(each.item.item_id, each.position, each.previous) for each in change.moved] == [("i4", 1, 4)]
    removed = {each.item.item_id: each for each in change.removed}
    assert {name: each.previous for name, each in removed.items()} == {"i1": 1, "i3": 3}
    assert removed["i1"].dropped is None
    assert removed["i3"].dropped is not None
    assert removed["i3"].dropped.step == "filter"
    assert (change.revision, change.is_new) == (3, False)


async def test_an_equal_definition_changes_nothing_though_promotions_choose_positions_at_random() -> None:
    shop = Shop()
    items = [f"i{n}" for n in range(12)]
    rules: Any = {"promotions": [{"name": "p", "where": 'INCLUDE ItemID WHERE Items.CATEGORY IN ("tea")',
                                  "percent": 30}]}  # fmt: skip
    define(shop, fixed(*items, rules=rules, limit=10))

    changes = [await compared(shop, fixed(*items, rules=rules, limit=10)) for _ in range(20)]

    assert all(change.is_empty for change in changes)
    assert len({tuple(item.item_id for item in change.items) for change in changes}) == 1


async def test_a_placement_that_is_not_defined_adds_everything() -> None:
    change = await compared(
        Shop(), fixed("i1", "i2", rules=Rules(pins=(Pin(item_id="i9", position=1),))), "new"
    )

    assert [each.item.item_id for each in change.added] == ["i9", "i1", "i2"]
    assert (change.removed, change.moved, change.revision, change.is_new) == ([], [], None, True)


async def test_a_preview_counts_nothing_for_quotas_and_keeps_no_rules() -> None:
    shop = Shop()
    rules = cast("Any", shop.engine)._rules
    quotas = rules._quotas = Quotas({})
    changed = fixed("i1", "i2", rules=Rules(quotas=(Quota(per_day=1),)))

    for _ in range(3):
        change = await compared(shop, changed)
        assert [item.item_id for item in change.items] == ["i1", "i2"]

    assert quotas.counted == []
    assert rules._compiler._compiled == {}


async def test_recent_requests_are_repeated_with_their_parameters() -> None:
    def serving(user_id: str | None, **members: Any) -> Serving:
        fields: dict[str, Any] = {"served_at": NOW, "placement": "cart", "surface": "placement", **members}
        return Serving(recommendation_id=f"RID-{user_id}", user_id=user_id, **fields)

    request = {"item_id": "i1", "cart": ["i2", "i3"], "category": "tea", "limit": 4, "shown": ["i8"]}
    requests = await previews(
        Shop(),
        serving("u1", session_id="s1", request=request),
        serving("erased"),
        serving("old", served_at=NOW - timedelta(hours=49)),
        serving("elsewhere", placement="home"),
        serving(None),
    ).recent(TENANT, "cart", 10)

    assert requests == [
        PlacementRequest(
            TENANT, "cart", "u1", "s1", "i1", ("i2", "i3"), "tea", limit=4, shown=frozenset({"i8"})
        ),
        PlacementRequest(TENANT, "cart"),
    ]


@pytest.mark.parametrize(
    ("placement", "complaint"),
    [
        (
            Placement(strategies=(StrategyUse(strategy="campaign", campaign="summer"),)),
            "no campaign 'summer'",
        ),
        (fixed("i1", filters=(FilterUse(name="nowhere"),)), "no filter 'nowhere'"),
        (fixed(), "needs item_ids"),
    ],
)
async def test_a_definition_that_cannot_be_served_is_refused(placement: Placement, complaint: str) -> None:
    with pytest.raises(Permanent, match=complaint):
        await previews(Shop()).check(TENANT, placement)


async def test_a_definition_that_can_be_served_is_accepted() -> None:
    shop = Shop()
    shop.add_filter("no-tea", 'EXCLUDE ItemID WHERE Items.CATEGORY IN ("tea")')
    campaign = StrategyUse(strategy="campaign", campaign="winter")

    await previews(shop).check(TENANT, Placement(strategies=(campaign,), filters=(FilterUse(name="no-tea"),)))
