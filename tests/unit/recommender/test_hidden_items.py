"""Items that cannot be sold are in no answer, whatever strategy, list or model proposes them."""

from __future__ import annotations

from typing import Any, cast, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from services.recommender.api.placement_answers import PlacementAnswers
from services.recommender.domain.activations import Activation, ActiveGenerations
from services.recommender.domain.erased_users import ErasedUsers
from services.recommender.domain.recipes import AFFINITY, POPULARITY, SIMILAR, USER
from services.recommender.serving.live_lists import LiveLists
from services.recommender.serving.placements.request import PlacementRequest
from services.recommender.serving.precomputed import PrecomputedRecommendations
from services.recommender.serving.query import RecommendationQuery
from services.recommender.serving.targets import Target
from services.recommender.store.visitor_states import VisitorState
from shared.events.placements import Placement, StrategyName
from tests.unit.recommender.placement_shop import GENERATION, ITEMS, TENANT, Shop, States, ranked

ITEM = st.sampled_from(ITEMS)
CASES = st.fixed_dictionaries(
    {
        "names": st.lists(st.sampled_from(get_args(StrategyName)), min_size=1, max_size=4),
        "hidden": st.sets(ITEM, min_size=1),
        "deleted": st.sets(ITEM),
        "viewed": st.lists(ITEM, max_size=6),
        "overridden": st.sets(ITEM, max_size=2),
        "cart": st.lists(ITEM, max_size=3),
        "pinned": st.none() | ITEM,
        "item_id": st.none() | ITEM,
        "category": st.sampled_from([None, "tea", "coffee", "none"]),
        "is_live": st.booleans(),
        "limit": st.integers(1, 25),
    }
)


def a_shop(case: dict[str, Any]) -> Shop:
    """A shop whose lists and models name every item, also those that are hidden or deleted."""
    shop = Shop()
    every = ranked(*range(20))
    shop.lists = {(USER, "u1"): every, (AFFINITY, "u1"): every, **{(SIMILAR, each): every for each in ITEMS}}
    shop.popular = {"all": every, "category:tea": every, "city:Graz": every}
    shop.state = VisitorState()
    shop.views(*case["viewed"])
    for item_id in case["overridden"]:
        shop.override(item_id, 0.9)
    if case["is_live"]:
        shop.deploy(USER, "user")
        shop.deploy(SIMILAR, "item")
    shop.index.newest(None, 1, 0.0)
    for item_id in case["hidden"]:
        shop.withdraw(item_id)
    for item_id in case["deleted"]:
        shop.catalogue.remove(item_id)
    return shop


@settings(max_examples=150, deadline=None)
@given(CASES)
async def test_placements_never_show_a_hidden_item(case: dict[str, Any]) -> None:
    shop = a_shop(case)
    uses: list[Any] = [
        {"strategy": name, "campaign": "c", "recipe": USER, "item_ids": ITEMS[:4]} for name in case["names"]
    ]
    pins = [{"item_id": case["pinned"], "position": 1}] if case["pinned"] else []
    placement = Placement.model_validate({"strategies": uses, "rules": {"pins": pins}})
    request = PlacementRequest(
        TENANT, "test", "u1", item_id=case["item_id"], cart=tuple(case["cart"]), category=case["category"],
        city="Graz", limit=case["limit"],
    )  # fmt: skip

    answer = await shop.engine.answer(request, placement)
    body = PlacementAnswers(shop.engine, cast("Any", shop), cast("Any", shop)).encode(answer, b"RID-1")

    gone = case["hidden"] | case["deleted"]
    item_ids = [item.item_id for item in answer.items]
    assert not gone & set(item_ids)
    assert not [each for each in gone if b'"product_id":"%b"' % each.encode() in body]
    assert len(item_ids) == len(set(item_ids)) <= case["limit"]


@settings(max_examples=50, deadline=None)
@given(CASES)
async def test_lists_and_campaigns_never_show_a_hidden_item(case: dict[str, Any]) -> None:
    shop, limit = a_shop(case), case["limit"]
    active = ActiveGenerations()
    active.activate(TENANT, Activation(1, dict.fromkeys((USER, SIMILAR, AFFINITY, POPULARITY), GENERATION)))
    store = cast("Any", shop)
    states = cast("Any", States(shop))
    live = LiveLists(store, shop.parts.recommender, states, states, ErasedUsers())
    precomputed = PrecomputedRecommendations(store, store, store, active, store, store, live, store)
    item_id = case["item_id"] or "i1"

    rows = [
        row
        for encoded in (
            await precomputed.for_user(TENANT, "u1", limit, USER),
            await precomputed.for_user(TENANT, "u1", limit, AFFINITY),
            await precomputed.for_item(TENANT, item_id, limit, SIMILAR),
            await precomputed.for_guest(TENANT, limit),
            await precomputed.for_visitor(TENANT, "u1", "s1", limit),
            await precomputed.for_location(TENANT, ("Graz", None, None), limit),
        )
        for row in encoded.items
    ]
    shown: set[str] = set()
    for recipe in (USER, SIMILAR) if case["is_live"] else ():
        target = Target(TENANT, recipe, shop.deployed[recipe])
        recommended, *_ = await shop.parts.recommender.recommend(
            target, RecommendationQuery("u1", item_id, limit)
        )
        shown |= {each.item_id for each in recommended}

    gone = case["hidden"] | case["deleted"]
    assert not gone & shown
    assert not [each for each in gone if b'"product_id":"%b"' % each.encode() in b"".join(rows)]
