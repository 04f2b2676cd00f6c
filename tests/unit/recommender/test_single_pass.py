"""The single pass gives the answer of the general way, or leaves a request to it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.recommender.domain.recipes import USER
from services.recommender.serving.placements.candidates import PlacementAnswer
from services.recommender.serving.placements.request import PlacementRequest
from services.recommender.serving.placements.rules.run import drops
from shared.events.placements import Placement
from tests.unit.recommender.placement_shop import ITEMS, TENANT, Shop

IDS = st.lists(st.sampled_from([*ITEMS, "new"]), max_size=4, unique=True)
WHERE = st.sampled_from(
    [
        'INCLUDE ItemID WHERE Items.CATEGORY IN ("tea")',
        "INCLUDE ItemID WHERE Items.CREATED_AT > 8",
        'EXCLUDE ItemID WHERE Items.CATEGORY IN ("coffee")',
    ]
)
LISTS = st.tuples(st.permutations([*ITEMS, "new"]), st.sampled_from([3, 10, 15, 21, 21])).map(
    lambda drawn: drawn[0][: drawn[1]]
)
PERIODS = st.sampled_from([{}, {"starts_at": -1}, {"ends_at": 1}, {"starts_at": 1}, {"ends_at": -1}])
PLACEMENTS = st.fixed_dictionaries(
    {
        "strategies": st.sampled_from(
            [
                [{"strategy": "for-you"}],
                [{"strategy": "for-you"}, {"strategy": "popular"}],
                [{"strategy": "for-you"}, {"strategy": "popular"}],
                [{"strategy": "for-you", "limit": 2}, {"strategy": "popular"}],
                [{"strategy": "popular"}],
            ]
        ),
        "filters": st.lists(st.sampled_from([{"name": "tea"}, {"name": "old"}]), max_size=1, unique_by=str),
        "limit": st.integers(1, 6),
        "fill_up": st.booleans(),
        "exclude": st.fixed_dictionaries(
            {"viewed": st.booleans(), "purchased": st.booleans(), "in_cart": st.booleans()}
        ),
    }
)
RULES = st.fixed_dictionaries(
    {
        "hide": st.lists(
            st.builds(lambda ids, where: {"item_ids": ids, **where}, IDS, st.just({})), max_size=2
        ),
        "boosts": st.lists(
            st.fixed_dictionaries({"where": WHERE, "factor": st.sampled_from([0.5, 2, 3])}), max_size=2
        ),
        "pins": st.lists(
            st.fixed_dictionaries(
                {"item_id": st.sampled_from([*ITEMS, "new"]), "position": st.integers(1, 9)}
            ),
            max_size=3,
        ),
    }
)


def dated(rules: dict[str, list[dict[str, Any]]], periods: list[dict[str, int]]) -> dict[str, Any]:
    """Return the rules, each with the next of the periods, in hours from now."""
    now = datetime.now(UTC)
    for number, each in enumerate(rule for group in rules.values() for rule in group):
        period = periods[number % len(periods)] if periods else {}
        each |= {name: now + timedelta(hours=hours) for name, hours in period.items()}
    return {**rules, "hide": [rule for rule in rules["hide"] if rule["item_ids"]]}


def a_shop(listed: list[str], history: list[str], purchased: list[str], withdrawn: list[str]) -> Shop:
    shop = Shop()
    shop.lists[USER, "u1"] = [(item_id, 1 - number / 40) for number, item_id in enumerate(listed)]
    shop.popular["all"] = [(item_id, 0.5) for item_id in ITEMS]
    shop.views(*history)
    shop.state.profile.purchased.update(purchased)
    for item_id in withdrawn:
        shop.withdraw(item_id)
    shop.add_filter("tea", 'INCLUDE ItemID WHERE Items.CATEGORY IN ("tea")')
    shop.add_filter("old", "EXCLUDE ItemID WHERE Items.CREATED_AT > 17")
    return shop


def described(answer: PlacementAnswer, counts: tuple[float, ...]) -> Any:
    """Return all that a client, the record of the answer and the metrics show of it."""
    items = [
        (each.item_id, each.strategy, each.score, each.algorithm, [signal.name for signal in each.signals])
        for each in answer.items
    ]
    facts = (answer.revision, answer.source, answer.generation, answer.model_sha256, answer.facts)
    return items, answer.dropped, facts, (answer.history_events, answer.newest_event_seconds), counts


async def both_ways(shop: Shop, request: PlacementRequest, placement: Placement) -> tuple[Any, Any]:
    """Return the answer as it is given, and that of the general way. The rules are compiled before."""
    with patch.object(shop.single_pass, "answer", lambda *_: None):
        await shop.engine.answer(request, placement)
        general = await counted(shop, request, placement)
    return await counted(shop, request, placement), general


async def counted(shop: Shop, request: PlacementRequest, placement: Placement) -> Any:
    before = [_value(step) for step in ("filter", "hide")]
    answer = await shop.engine.answer(request, placement)
    after = [_value(step) for step in ("filter", "hide")]
    return described(answer, tuple(b - a for a, b in zip(before, after, strict=True)))


def _value(step: str) -> float:
    return float(drops(step)._value.get())


@settings(max_examples=100, deadline=None)
@given(
    definition=PLACEMENTS,
    rules=RULES,
    periods=st.lists(PERIODS, max_size=3),
    listed=LISTS,
    history=IDS,
    purchased=IDS,
    withdrawn=IDS,
    request=st.fixed_dictionaries(
        {
            "user_id": st.sampled_from(["u1", "u1", "u1", "u2"]),
            "item_id": st.sampled_from([None, "i3"]),
            "cart": IDS.map(tuple),
            "shown": IDS.map(frozenset),
            "limit": st.sampled_from([None, 1, 5]),
            "explain": st.sampled_from([False, False, False, True]),
        }
    ),
)
def test_both_ways_give_one_answer(
    definition: dict[str, Any],
    rules: dict[str, Any],
    periods: list[dict[str, int]],
    listed: list[str],
    history: list[str],
    purchased: list[str],
    withdrawn: list[str],
    request: dict[str, Any],
) -> None:
    shop = a_shop(listed, history, purchased, withdrawn)
    placement = Placement.model_validate(definition | {"rules": dated(rules, periods)})

    given_answer, general = asyncio.run(
        both_ways(shop, PlacementRequest(TENANT, "test", **request), placement)
    )

    assert given_answer == general


USUAL: dict[str, Any] = {
    "strategies": [{"strategy": "for-you"}, {"strategy": "popular"}],
    "filters": [{"name": "old"}],
    "limit": 4,
    "rules": {
        "hide": [{"item_ids": ["i3"]}],
        "boosts": [{"where": 'INCLUDE ItemID WHERE Items.CATEGORY IN ("tea")', "factor": 2}],
        "pins": [{"item_id": "i15", "position": 2}],
    },
}


async def passed(shop: Shop, placement: dict[str, Any], **request: Any) -> bool:
    """Return whether the single pass gives the answer."""
    definition = Placement.model_validate(placement)
    asked = PlacementRequest(TENANT, "test", **{"user_id": "u1", **request})
    answers = []
    usual = shop.single_pass.answer
    with patch.object(shop.single_pass, "answer", lambda *each: answers.append(usual(*each)) or answers[-1]):
        for _ in range(2):  # the first request compiles the rules
            await shop.engine.answer(asked, definition)
    return answers[-1] is not None


async def test_usual_requests_take_the_single_pass() -> None:
    shop = a_shop([*ITEMS], [], ["i1"], ["i2"])

    assert await passed(shop, USUAL)
    assert await passed(shop, {"strategies": [{"strategy": "for-you"}]}, cart=("i4",), item_id="i5")


@pytest.mark.parametrize(
    ("placement", "request_"),
    [
        (USUAL, {"explain": True}),
        (USUAL, {"user_id": "u2"}),
        (USUAL, {"user_id": None, "session_id": "s1"}),
        (USUAL | {"limit": 20}, {}),
        (USUAL | {"rules": {"caps": [{"column": "category", "most": 2}]}}, {}),
        (USUAL | {"rules": {"quotas": [{"per_day": 5}]}}, {}),
        (USUAL | {"rules": {"fatigue": {"impressions": 2}}}, {}),
        (USUAL | {"strategies": [{"strategy": "popular"}]}, {}),
    ],
)
async def test_others_do_not(placement: dict[str, Any], request_: dict[str, Any]) -> None:
    assert not await passed(a_shop([*ITEMS], [], [], []), placement, **request_)


async def test_neither_overrides_nor_new_events_are_missed() -> None:
    overridden, live = a_shop([*ITEMS], [], [], []), a_shop([*ITEMS], ["i1"], [], [])
    overridden.override("i9", 2.0)
    live.deploy(USER, "user")

    assert not await passed(overridden, USUAL)
    assert not await passed(live, USUAL)
