"""The rules of a placement are checked before they are saved, and every problem names its rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.events.placements import Placement, StrategyUse
from shared.filters import FilterError, item_condition, placement_problems

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
TEA = 'INCLUDE ItemID WHERE Items.CATEGORY IN ("tea")'


def problems(**rules: Any) -> list[str]:
    return placement_problems(Placement(strategies=(StrategyUse(strategy="popular"),), rules=rules))


def test_valid_rules_have_no_problem() -> None:
    period = {"starts_at": NOON, "ends_at": NOON + timedelta(hours=1)}
    assert (
        problems(
            hide=[{"item_ids": ["a"]}, {"where": TEA, **period}],
            boosts=[{"where": 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("view")', "factor": 2}],
            promotions=[
                {"name": "sale", "where": TEA, "percent": 20},
                {"name": "new", "where": TEA, "percent": 5},
            ],
            caps=[{"column": "BRAND", "most": 2}, {"column": "CATEGORY", "most": 2}],
            pins=[{"item_id": "a", "position": 1, **period}],
        )
        == []
    )


@pytest.mark.parametrize(
    ("rules", "beginning"),
    [
        (
            {
                "boosts": [
                    {"where": TEA, "factor": 2},
                    {"where": "INCLUDE ItemID WHERE Items.X LIKE 1", "factor": 2},
                ]
            },
            "rules.boosts[1].where: The filter expression is wrong at line 1, column 30: expected",
        ),
        (
            {
                "promotions": [
                    {"name": "a", "where": 'INCLUDE UserID WHERE Users.CITY IN ("x")', "percent": 5}
                ]
            },
            "rules.promotions[0].where: A rule selects items",
        ),
        (
            {"hide": [{"where": "EXCLUDE ItemID WHERE Items.PRICE > $MOST OR Items.A = $B"}]},
            "rules.hide[0].where: A rule has no values for parameters; write values instead of $B, $MOST.",
        ),
        (
            {"hide": [{"where": 'EXCLUDE ItemID WHERE Interactions.DEVICE IN ("tv")'}]},
            "rules.hide[0].where: Interactions.DEVICE can't be used",
        ),
        ({"hide": [{}]}, "rules.hide[0]: name the items to hide"),
        (
            {"pins": [{"item_id": "a", "position": 1, "starts_at": NOON, "ends_at": NOON}]},
            "rules.pins[0]: ends_at must be later than starts_at.",
        ),
        (
            {"caps": [{"column": "BRAND_NAME", "most": 1}, {"column": "brandName", "most": 2}]},
            "rules.caps[1]: another cap is for the column brandName",
        ),
        (
            {"promotions": [{"name": "a", "where": TEA, "percent": 5}] * 2},
            "rules.promotions[1]: another promotion has the name 'a'",
        ),
    ],
)
def test_a_problem_names_its_rule(rules: dict[str, Any], beginning: str) -> None:
    (problem,) = problems(**rules)

    assert problem.startswith(beginning)


def test_every_problem_is_reported() -> None:
    assert len(problems(hide=[{}, {"where": "nonsense"}], boosts=[{"where": "nonsense", "factor": 1}])) == 3


def test_a_condition_is_a_filter() -> None:
    assert item_condition(TEA).selects == "item"
    with pytest.raises(FilterError, match="ItemID, not UserID"):
        item_condition('INCLUDE UserID WHERE Users.CITY IN ("x")')
