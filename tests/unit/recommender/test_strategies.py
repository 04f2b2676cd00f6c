"""Each strategy: what it proposes, and what all of them have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from services.recommender.domain.recipes import SIMILAR, TOGETHER, USER
from services.recommender.serving.placements.candidates import Proposal
from services.recommender.serving.placements.explanations import sentence
from services.recommender.serving.placements.request import PlacementRequest
from services.recommender.serving.placements.strategies.history import due_score
from services.recommender.store.visitor_states import VisitorState
from shared.events.placements import StrategyName, StrategyUse
from tests.unit.recommender.placement_shop import ITEMS, NOW, TENANT, Shop, ranked

DAY = 86_400
REQUEST = PlacementRequest(TENANT, "test", "u1", "s1", "i1", ("i2",), category="tea", city="Graz")
USES: dict[str, dict[str, Any]] = {
    "campaign": {"campaign": "c"},
    "recipe": {"recipe": USER},
    "fixed": {"item_ids": ("i3", "i4", "i5", "i3")},
}


def full_shop() -> Shop:
    """A shop in which every strategy has something to propose."""
    shop = Shop()
    shop.lists = {(USER, "u1"): ranked(*range(10)), **{(SIMILAR, f"i{n}"): ranked(5, 6, 7) for n in range(9)}}
    shop.popular = {"all": ranked(*range(19, 9, -1)), "category:tea": ranked(3, 5), "city:Graz": ranked(8)}
    shop.views("i6", "i7", "i8")
    shop.views("i9", event_type="purchase", since=NOW - 40 * DAY)
    shop.state.profile.history.sort(key=lambda event: event[2])
    shop.deploy(USER, "user")
    return shop


async def proposed(shop: Shop, name: str, request: PlacementRequest = REQUEST, count: int = 20) -> Proposal:
    use = StrategyUse(strategy=name, **USES.get(name, {}))  # type: ignore[arg-type]
    strategy = shop.strategies[name]
    lists = await shop.read(TENANT, strategy.list_keys(use, request))
    visitor = await shop.visitor(request, lists)
    return await strategy.propose(use, request, visitor, count)


def ids(proposal: Proposal) -> list[str]:
    return [candidate.item_id for candidate in proposal.candidates]


def test_every_strategy_of_the_contract_exists() -> None:
    assert set(Shop().strategies) == set(get_args(StrategyName))


@pytest.mark.parametrize("name", get_args(StrategyName))
async def test_a_proposal_has_each_item_once_with_its_strategy_and_a_signal(name: str) -> None:
    proposal = await proposed(full_shop(), name)

    assert proposal.candidates
    assert proposal.source
    assert len(set(ids(proposal))) == len(proposal.candidates)
    assert {candidate.strategy for candidate in proposal.candidates} == {name}
    assert all(candidate.signals for candidate in proposal.candidates)


@pytest.mark.parametrize("name", get_args(StrategyName))
async def test_a_proposal_has_at_most_as_many_items_as_are_needed(name: str) -> None:
    assert len((await proposed(full_shop(), name, count=1)).candidates) == 1


@pytest.mark.parametrize("name", get_args(StrategyName))
async def test_withdrawn_items_are_not_proposed_and_do_not_count(name: str) -> None:
    shop = full_shop()
    before = ids(await proposed(shop, name))
    shop.withdraw(before[0])

    after = ids(await proposed(shop, name))
    first = ids(await proposed(shop, name, count=1))

    assert before[0] not in after
    assert first == after[:1]


@pytest.mark.parametrize("name", get_args(StrategyName))
async def test_nothing_is_proposed_to_nobody_in_an_empty_shop(name: str) -> None:
    shop = Shop()
    for item_id in ITEMS:
        shop.catalogue.remove(item_id)

    proposal = await proposed(shop, name, PlacementRequest(TENANT, "test"))

    assert (list(proposal.candidates), proposal.source) == ([], b"")


async def test_only_items_of_the_catalogue_trend_unless_there_is_none() -> None:
    shop = full_shop()
    request = PlacementRequest(TENANT, "test")
    shop.trends.scores = [("invented", 9.0), ("i4", 3.0)]
    assert ids(await proposed(shop, "trending", request, count=2)) == ["i4", "i19"]

    for item_id in ITEMS:
        shop.catalogue.remove(item_id)
    assert ids(await proposed(shop, "trending", request, count=2)) == ["invented"]


async def test_a_list_answers_until_the_visitor_has_newer_events() -> None:
    shop = full_shop()
    shop.state = VisitorState()
    cached = await proposed(shop, "for-you", count=3)
    assert (ids(cached), cached.source) == (["i0", "i1", "i2"], b"redis")

    shop.views("i6", since=NOW - 2 * DAY)
    assert (await proposed(shop, "for-you")).source == b"redis"

    shop.views("i6", since=NOW - 10)
    live = await proposed(shop, "for-you", count=3)
    assert live.source == b"model"
    assert live.model_sha256 == "0" * 64
    assert {candidate.algorithm for candidate in live.candidates} == {"aws-test-recipe"}


async def test_explained_items_of_a_list_name_the_events_that_a_model_scores_them_by() -> None:
    shop = full_shop()
    shop.state = VisitorState()
    shop.views("i6", since=NOW - 2 * DAY)
    shop.views("i7", event_type="purchase", since=NOW - 3 * DAY)
    shop.state.profile.history.sort(key=lambda event: event[2])
    explained = replace(REQUEST, explain=True)

    listed = await proposed(shop, "for-you", explained, count=2)
    plain = await proposed(shop, "for-you", count=2)

    assert (ids(listed), listed.source) == (ids(plain), b"redis")
    assert [signal.name for signal in plain.candidates[0].signals] == ["list"]
    names = {(signal.name, signal.item_id) for signal in listed.candidates[0].signals}
    assert names == {("list", None), ("viewed", "i6"), ("bought_with", "i7")}
    assert 0.9 < sum(signal.weight or 0.0 for signal in listed.candidates[0].signals) <= 1.001
    assert sentence(listed.candidates[0], str.upper) == "Often bought with I7"

    shop.views("i8", since=NOW - 10)
    live = await proposed(shop, "for-you", explained, count=2)
    assert live.source == b"model"
    assert ("viewed", "i8") in {(signal.name, signal.item_id) for signal in live.candidates[0].signals}


async def test_a_session_is_scored_live_and_a_new_visitor_gets_popular_items() -> None:
    shop = full_shop()
    session = PlacementRequest(TENANT, "test", None, "s1")
    assert (await proposed(shop, "for-you", session)).source == b"model"

    shop.state = VisitorState(location=("Graz", None, None))
    new = await proposed(shop, "for-you", session, count=3)

    assert (ids(new), new.source) == (["i8", "i19", "i18"], b"popular")
    assert [candidate.signals[0].detail for candidate in new.candidates] == ["city:Graz"] + ["everywhere"] * 2


async def test_overrides_stand_in_the_users_list_and_before_other_items() -> None:
    shop = Shop()
    shop.lists = {(USER, "u1"): ranked(0, 1, 2)}
    shop.override("i9", 0.99)
    shop.override("i1", 5.0)
    shop.override("i8", 0.5)
    shop.withdraw("i8")

    user = PlacementRequest(TENANT, "test", "u1")
    listed = await proposed(shop, "for-you", user)
    shop.lists = {}
    shop.popular = {"all": ranked(5, 9)}
    popular = await proposed(shop, "for-you", user)
    shop.popular = {}
    alone = await proposed(shop, "for-you", user, count=1)

    assert ids(listed) == ["i1", "i0", "i9", "i2"]
    assert (listed.candidates[0].algorithm, listed.candidates[0].signals[0].name) == ("override", "override")
    assert (ids(popular), popular.source) == (["i1", "i9", "i5"], b"popular")
    assert (ids(alone), alone.source) == (["i1"], b"overrides")


async def test_the_lists_of_a_cart_are_added_up() -> None:
    shop = Shop()
    shop.lists = {(SIMILAR, "i1"): ranked(5, 6, 7), (SIMILAR, "i2"): ranked(7, 1, 6)}
    request = PlacementRequest(TENANT, "test", cart=("i1", "i2"))

    proposal = await proposed(shop, "bought-together", request)

    assert ids(proposal) == ["i7", "i6", "i5"]
    signal = proposal.candidates[0].signals[0]
    assert (signal.name, signal.item_id) == ("bought_with", "i2")
    assert proposal.candidates[0].algorithm == SIMILAR


async def test_lists_of_purchases_come_before_similar_items() -> None:
    shop = Shop()
    shop.lists = {(SIMILAR, "i1"): ranked(5, 6), (TOGETHER, "i1"): ranked(9)}

    proposal = await proposed(shop, "bought-together", PlacementRequest(TENANT, "test", item_id="i1"))

    assert ids(proposal) == ["i9"]
    assert proposal.candidates[0].algorithm == TOGETHER


async def test_a_model_of_items_answers_for_an_item_without_a_list() -> None:
    shop = Shop()
    shop.deploy(SIMILAR, "item", ("i4", "i3"))

    proposal = await proposed(shop, "similar", PlacementRequest(TENANT, "test", item_id="i1"))
    unknown = await proposed(shop, "similar", PlacementRequest(TENANT, "test", item_id="new"))

    assert (ids(proposal), proposal.source) == (["i4", "i3"], b"model")
    assert not unknown.candidates


async def test_the_item_viewed_last_counts_most() -> None:
    shop = Shop()
    shop.lists = {(SIMILAR, "i1"): ranked(5), (SIMILAR, "i2"): ranked(6), (SIMILAR, "i3"): ranked(1)}
    shop.views("i1", "i2")
    shop.views("i3", event_type="remove_from_cart")

    proposal = await proposed(shop, "because-you-viewed")

    assert ids(proposal) == ["i6", "i5"]
    assert proposal.candidates[0].signals[0].item_id == "i2"


async def test_viewed_items_come_newest_first() -> None:
    shop = Shop()
    shop.views("i1", "i2", "i1")

    assert ids(await proposed(shop, "recently-viewed")) == ["i1", "i2"]


@pytest.mark.parametrize(
    ("days", "today", "is_due"),
    [
        ({100}, 110, False),
        ({100}, 130, True),
        ({100, 107, 114}, 116, False),
        ({100, 107, 114}, 121, True),
    ],
)
def test_an_item_is_due_after_the_usual_time_between_purchases(
    days: set[int],
    today: int,
    is_due: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert bool(due_score(days, today)) is is_due


def test_frequent_purchases_and_those_due_now_score_higher() -> None:
    assert due_score({100, 107, 114}, 121) > due_score({100, 107}, 114)
    assert due_score({100, 107, 114}, 121) > due_score({100, 107, 114}, 150)


async def test_new_arrivals_are_the_newest_of_the_category() -> None:
    shop = Shop()
    request = PlacementRequest(TENANT, "test", category="Tea")

    assert ids(await proposed(shop, "new-arrivals", PlacementRequest(TENANT, "test"), 2)) == ["i19", "i18"]
    assert ids(await proposed(shop, "new-arrivals", request, 2)) == ["i19", "i17"]


async def test_a_category_without_a_list_has_its_popular_items_and_then_its_newest() -> None:
    shop = Shop()
    shop.popular = {"all": ranked(2, 3, 4, 5)}
    request = PlacementRequest(TENANT, "test", category="tea")

    proposal = await proposed(shop, "popular", request, 4)

    assert ids(proposal) == ["i3", "i5", "i19", "i17"]


async def test_ids_of_users_and_items_may_coincide() -> None:
    shop = Shop()
    shop.lists = {(USER, "i1"): ranked(3), (SIMILAR, "i1"): ranked(4)}
    request = PlacementRequest(TENANT, "test", item_id="i1")
    use = StrategyUse(strategy="recipe", recipe=USER)

    assert not shop.strategies["recipe"].list_keys(use, request)
