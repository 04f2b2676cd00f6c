"""Edits of the draft of a placement."""

from __future__ import annotations

import copy
from typing import Any, get_args

import pytest

from services.dashboard.domain.placement_drafts import (
    STRATEGIES,
    InvalidDraft,
    edited,
    item_ids,
    parse,
    shown,
)
from shared.events.placements import Placement, StrategyName

HOME: dict[str, Any] = {
    "strategies": [{"strategy": "for-you"}, {"strategy": "trending"}],
    "rules": {"pins": [{"item_id": "a", "position": 1}, {"item_id": "b", "position": 2}]},
}


@pytest.mark.parametrize(
    ("edit", "fields", "place", "expected"),
    [
        ("add-pins", {"pin_item": " c ", "pin_position": "3"}, "pins", {"item_id": "c", "position": 3}),
        (
            "add-pins",
            {"pin_item": "c", "pin_position": "3", "starts_at": "2026-12-01T08:00", "ends_at": ""},
            "pins",
            {"item_id": "c", "position": 3, "starts_at": "2026-12-01T08:00:00Z"},
        ),
        ("add-hide", {"hide_items": "x, y,"}, "hide", {"item_ids": ["x", "y"]}),
        (
            "add-boosts",
            {"boost_where": 'INCLUDE ItemID WHERE Items.BRAND IN ("a")', "boost_factor": "0.5"},
            "boosts",
            {"where": 'INCLUDE ItemID WHERE Items.BRAND IN ("a")', "factor": 0.5},
        ),
        (
            "add-boosts",
            {"boost_where": 'category= Tea, "Loose" Tea,', "boost_factor": "2"},
            "boosts",
            {"where": 'INCLUDE ItemID WHERE Items.category IN ("Tea", "\\"Loose\\" Tea")', "factor": 2},
        ),
        ("add-caps", {"cap_column": "BRAND", "cap_most": "2"}, "caps", {"column": "BRAND", "most": 2}),
    ],
)
def test_a_rule_is_added_at_the_end(
    edit: str, fields: dict[str, str], place: str, expected: dict[str, Any]
) -> None:
    before = copy.deepcopy(HOME)

    draft = edited(HOME, edit, fields)

    assert draft["rules"][place][-1] == expected
    assert before == HOME
    Placement.model_validate(draft)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"strategy": "popular", "strategy_argument": "region"}, {"strategy": "popular", "area": "region"}),
        ({"strategy": "similar", "strategy_argument": "4"}, {"strategy": "similar", "limit": 4}),
        ({"strategy": "fixed", "strategy_argument": "a,b"}, {"strategy": "fixed", "item_ids": ["a", "b"]}),
        ({"strategy": "campaign", "strategy_argument": "x"}, {"strategy": "campaign", "campaign": "x"}),
        ({"strategy": "buy-again"}, {"strategy": "buy-again"}),
    ],
)
def test_a_strategy_takes_its_argument(fields: dict[str, str], expected: dict[str, Any]) -> None:
    draft = edited(HOME, "add-strategies", fields)

    assert draft["strategies"][-1] == expected
    Placement.model_validate(draft)


def test_parts_are_removed_moved_and_set() -> None:
    assert edited(HOME, "remove-pins-0", {})["rules"]["pins"] == [{"item_id": "b", "position": 2}]
    assert edited(HOME, "raise-1", {})["strategies"][0] == {"strategy": "trending"}
    assert edited(HOME, "set-limit", {"limit": "6"})["limit"] == 6


@pytest.mark.parametrize(
    ("edit", "fields", "problem"),
    [
        ("add-pins", {"pin_item": "", "pin_position": "1"}, "Enter the item to pin"),
        ("add-pins", {"pin_item": "a", "pin_position": "first"}, "'first' is not a whole number"),
        ("add-boosts", {"boost_where": "", "boost_factor": "2"}, "Enter a column and its values"),
        ("add-boosts", {"boost_where": "x", "boost_factor": "much"}, "'much' is not a number"),
        ("remove-pins-9", {}, "load the page again"),
        ("remove-nothing-0", {}, "load the page again"),
        ("add-nothing", {}, "load the page again"),
        ("nonsense", {}, "load the page again"),
        ("raise-x", {}, "x"),
    ],
)
def test_a_wrong_edit_says_what_to_do(edit: str, fields: dict[str, str], problem: str) -> None:
    with pytest.raises(InvalidDraft, match=problem):
        edited(HOME, edit, fields)


@pytest.mark.parametrize("text", ["", "[]", "{", '"home"'])
def test_a_definition_is_a_json_object(text: str) -> None:
    with pytest.raises(InvalidDraft, match="JSON"):
        parse(text)


def test_empty_members_are_not_shown_and_mean_the_same() -> None:
    placement = Placement.model_validate(HOME)

    text = shown(placement.model_dump(mode="json"))

    assert Placement.model_validate_json(text) == placement
    assert "promotions" not in text


def test_the_strategies_of_the_page_are_those_of_the_contract() -> None:
    assert get_args(StrategyName) == tuple(STRATEGIES)


def test_the_items_of_rules_are_those_that_are_pinned_or_hidden() -> None:
    rules = {
        "pins": [{"item_id": "a", "position": 1}, "b"],
        "hide": [{"item_ids": ["c", "d"]}, {"where": "x"}],
    }

    assert item_ids({"rules": rules}) == ["a", "c", "d"]
    assert item_ids({"rules": ["a"]}) == item_ids({}) == []
