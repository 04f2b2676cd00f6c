"""The rules of a placement: changed items and filters, guests, failures, and what is recorded."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from services.recommender.metrics import RULE_DROPS, RULE_PROBLEMS
from services.recommender.serving.placements.candidates import Candidate, Signal
from services.recommender.serving.placements.request import PlacementRequest, Visitor
from services.recommender.serving.placements.rules.run import MAX_POOL, RuleRun
from services.recommender.store.profiles import Profile
from shared.events.placements import Placement
from shared.filters import Filter
from tests.unit.recommender.rule_worlds import NOON, RuleWorld, ids

TEA = 'INCLUDE ItemID WHERE Items.CATEGORY IN ("tea")'
LETTERS = list("abcdefgh")


def world(**changes: Any) -> RuleWorld:
    items = {letter: {"CATEGORY": "tea" if letter in "bdf" else "cup"} for letter in LETTERS}
    return RuleWorld(**{"items": items, **changes})


async def test_without_rules_the_answer_is_the_first_candidates() -> None:
    result = await world().apply({"limit": 3}, LETTERS)

    assert ids(result) == ["a", "b", "c"]
    assert result.applied == ()
    assert {drop.step for drop in result.dropped} == {"limit"}


async def test_a_boost_divides_the_rank_within_its_strategy() -> None:
    boosts = {"rules": {"boosts": [{"where": TEA, "factor": 2}]}}
    candidates = [("a", "x"), ("c", "x"), ("b", "x"), ("e", "y"), ("d", "x"), ("f", "y")]

    result = await world().apply(boosts, candidates)

    # Of x: a 1, c 2, b 3 / 2, d 4 / 2; of y: e 1, f 2 / 2.
    assert ids(result) == ["a", "b", "c", "e", "d", "f"]
    assert result.applied == ("boost",)
    assert result.items[1].signals == [Signal("boosted", 2.0, None, TEA)]


async def test_equal_scores_keep_their_order_and_nothing_is_noted() -> None:
    result = await world().apply({"rules": {"boosts": [{"where": TEA, "factor": 2}]}}, ["a", "b"])

    assert ids(result) == ["a", "b"]
    assert result.applied == ()


async def test_a_changed_item_is_looked_at_again() -> None:
    shop = world()
    placement = Placement.model_validate(
        {"strategies": [{"strategy": "popular"}], "rules": {"hide": [{"where": TEA}]}}
    )

    assert ids(await shop.apply(placement, LETTERS)) == ["a", "c", "e", "g", "h"]
    shop.put("a", CATEGORY="tea")
    shop.put("b", CATEGORY="cup|tray")
    assert ids(await shop.apply(placement, LETTERS)) == ["b", "c", "e", "g", "h"]


async def test_a_changed_filter_is_applied_at_once() -> None:
    shop = world(filters={"f": TEA})
    placement = Placement.model_validate(
        {"strategies": [{"strategy": "popular"}], "filters": [{"name": "f"}]}
    )

    assert ids(await shop.apply(placement, LETTERS)) == ["b", "d", "f"]
    shop.stored_filters.by_name["f"] = Filter.parse('EXCLUDE ItemID WHERE Items.CATEGORY IN ("tea")')
    assert ids(await shop.apply(placement, LETTERS)) == ["a", "c", "e", "g", "h"]


async def test_filters_take_values() -> None:
    shop = world(filters={"f": "INCLUDE ItemID WHERE Items.CATEGORY IN ($CATEGORY)"})
    use = {"name": "f", "values": {"CATEGORY": '"tea"'}}

    assert ids(await shop.apply({"filters": [use]}, LETTERS)) == ["b", "d", "f"]


async def test_a_filter_that_is_missing_or_lacks_values_admits_nothing_but_pins() -> None:
    shop = world(filters={"f": "INCLUDE ItemID WHERE Items.CATEGORY IN ($CATEGORY)"})
    before = RULE_PROBLEMS.labels("filter")._value.get()

    missing = await shop.apply({"filters": [{"name": "gone"}]}, ["a"])
    pins = {"pins": [{"item_id": "b", "position": 1}]}
    without_values = await shop.apply({"filters": [{"name": "f"}], "rules": pins}, ["a", "b"])

    assert (ids(missing), missing.applied) == ([], ("filter",))
    assert missing.dropped[0].detail.startswith("gone: There is no filter 'gone' here.")
    assert ids(without_values) == ["b"]
    assert RULE_PROBLEMS.labels("filter")._value.get() - before == 2


async def test_conditions_on_a_guest_are_not_met_and_read_nothing() -> None:
    shop = world(filters={"f": f"{TEA} IF CurrentUser.AGE > 18"}, users={"u": {"age": 40.0}})

    assert ids(await shop.apply({"filters": [{"name": "f"}]}, LETTERS)) == LETTERS
    assert shop.profiles.reads == 0
    request = {"user_id": "u"}
    assert ids(await shop.apply({"filters": [{"name": "f"}]}, LETTERS, request=request)) == ["b", "d", "f"]


async def test_interactions_of_a_session_count() -> None:
    rule = {"rules": {"hide": [{"where": 'INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("view")'}]}}
    visitor = Visitor(Profile([("b", "Product Viewed", 1), ("c", "add_to_cart", 2)]))

    result = await world().apply(rule, ["a", "b", "c"], request={"session_id": "s"}, visitor=visitor)

    assert ids(result) == ["a", "c"]


async def test_an_invalid_expression_is_left_out() -> None:
    rules = {
        "hide": [{"where": "nonsense", "item_ids": ["a"]}, {"where": "nonsense"}],
        "boosts": [{"where": "nonsense", "factor": 9}],
        "promotions": [{"name": "p", "where": "nonsense", "percent": 100}],
    }

    assert ids(await world().apply({"rules": rules}, ["a", "b", "c"])) == ["b", "c"]


async def test_a_pin_returns_what_other_steps_dropped() -> None:
    rules = {"hide": [{"item_ids": ["c"]}], "pins": [{"item_id": item, "position": 1} for item in "bcx"]}

    result = await world(filters={"f": 'EXCLUDE ItemID WHERE Items.CATEGORY IN ("tea")'}).apply(
        {"filters": [{"name": "f"}], "rules": rules, "limit": 3}, ["a", "b", "c"]
    )

    assert ids(result) == ["b", "x", "a"]
    assert [(item.strategy, item.signals) for item in result.items[:2]] == [("pin", [Signal("pinned")])] * 2
    assert [(drop.item_id, drop.step) for drop in result.dropped] == [("c", "hide")]
    assert result.applied == ("filter", "hide", "pin")


async def test_a_pin_is_not_shown_twice_on_a_page() -> None:
    pins = {"pins": [{"item_id": "x", "position": 1}, {"item_id": "y", "position": 2}]}

    result = await world().apply({"rules": pins}, ["a"], request={"shown": frozenset("x")})

    assert ids(result) == ["a", "y"]


async def test_dropped_candidates_have_details() -> None:
    rules = {
        "hide": [{"item_ids": ["a"]}, {"where": 'INCLUDE ItemID WHERE Items.ITEM_ID IN ("b")'}],
        "fatigue": {"impressions": 3},
        "quotas": [{"per_day": 5}],
        "caps": [{"column": "category", "most": 1}],
    }
    before = RULE_DROPS.labels("hide")._value.get()

    shop = world(answers={"d": 5, "e": 4}, impressions={"c": 3, "e": 2})
    result = await shop.apply({"rules": rules, "limit": 1}, LETTERS)

    assert {drop.item_id: (drop.step, drop.detail) for drop in result.dropped} == {
        "a": ("hide", "item_ids"),
        "b": ("hide", "where"),
        "c": ("fatigue", "shown 3 times without a click"),
        "d": ("quota", "in 5 answers today"),
        "f": ("limit", None),
        "g": ("cap", "category cup: at most 1"),
        "h": ("cap", "category cup: at most 1"),
    }
    assert RULE_DROPS.labels("hide")._value.get() - before == 2


async def test_without_explain_nothing_is_recorded() -> None:
    rules = {"hide": [{"item_ids": ["a"]}], "boosts": [{"where": TEA, "factor": 8}]}

    result = await world().apply({"rules": rules, "limit": 2}, LETTERS, request={"explain": False})

    assert ids(result) == ["b", "d"]
    assert result.dropped == []
    assert result.items[0].signals == []
    assert result.applied == ("hide", "boost")


async def test_counts_are_read_only_for_a_rule_that_needs_them() -> None:
    shop = world()
    fatigue = {"rules": {"fatigue": {"impressions": 3, "days": 5}}}

    await shop.apply({}, LETTERS, request={"user_id": "u", "session_id": "s"})
    assert shop.read_impressions.reads == []
    await shop.apply(fatigue, LETTERS, request={"user_id": "u", "session_id": "s"})
    await shop.apply(fatigue, LETTERS)
    assert shop.read_impressions.reads == [({"u", "s"}, 5), (set(), 5)]


async def test_an_answer_counts_for_the_items_that_have_a_quota() -> None:
    shop = world()

    async def counted(quota: dict[str, Any], **request: Any) -> list[str]:
        placement = Placement.model_validate(
            {"strategies": [{"strategy": "popular"}], "rules": {"quotas": [quota]}}
        )
        run = await RuleRun.begin(
            placement, PlacementRequest("shop", "home", **request), Visitor(Profile()), shop.sources, NOON
        )
        shop.quotas.counted.clear()
        run.count_answer(_candidates("abc"))
        return list(shop.quotas.counted)

    assert await counted({"per_day": 9, "item_ids": ["c", "x"]}) == ["c"]
    assert await counted({"per_day": 9}) == ["a", "b", "c"]
    assert await counted({"per_day": 9}, explain=True) == ["a", "b", "c"]
    assert await counted({"per_day": 9}, is_trial=True) == []


async def test_strategies_are_admitted_one_after_the_other() -> None:
    shop = world()
    rules = {"hide": [{"where": TEA}], "caps": [{"column": "CATEGORY", "most": 3}]}
    placement = Placement.model_validate({"strategies": [{"strategy": "popular"}], "rules": rules})
    run = await RuleRun.begin(
        placement, PlacementRequest("shop", "home"), Visitor(Profile()), shop.sources, NOON + timedelta(1)
    )
    first = await run.admitted(_candidates("abc"))
    second = await run.admitted(_candidates("defgh"))

    assert ids(run.result(run.arranged(first + second))) == ["a", "c", "e"]
    assert run.pool == 3 * 10 + 20 <= MAX_POOL


def _candidates(item_ids: str) -> list[Any]:

    return [Candidate(item_id, "popular") for item_id in item_ids]
