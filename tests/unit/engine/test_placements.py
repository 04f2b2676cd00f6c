"""The checks of a placement's definition, and placements in a declaration of resources."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from services.engine.domain.declaration import Declaration
from services.engine.domain.planning import plan
from services.engine.domain.steps import AccountState
from shared.errors import Permanent
from shared.events.placements import DEFAULT_PLACEMENTS, Placement
from shared.filters.placement_definitions import Names, check, parse

NAMES = Names(
    frozenset({"winter", "recommender/for-you"}),
    {"in-season": "INCLUDE ItemID WHERE Items.SEASON IN ($SEASON)"},
)
FOR_YOU = [{"strategy": "for-you"}]


def definition(**members: Any) -> Placement:
    return parse(orjson.dumps({"strategies": FOR_YOU, **members}))


def problem(**members: Any) -> str:
    with pytest.raises(Permanent) as caught:
        check(definition(**members), NAMES)
    return str(caught.value)


@pytest.mark.parametrize("name", sorted(DEFAULT_PLACEMENTS))
def test_a_default_passes_the_checks(name: str) -> None:
    check(DEFAULT_PLACEMENTS[name], NAMES)


def test_a_definition_with_every_kind_of_member_passes_the_checks() -> None:
    check(
        definition(
            strategies=[
                {"strategy": "campaign", "campaign": "winter", "limit": 3},
                {"strategy": "recipe", "recipe": "similar-items"},
                {"strategy": "fixed", "item_ids": ["p1", "p2"]},
                {"strategy": "popular", "area": "category"},
                {"strategy": "popular", "area": "region"},
            ],
            filters=[{"name": "in-season", "values": {"SEASON": '"winter"'}}],
            rules={
                "hide": [{"where": "INCLUDE ItemID WHERE Items.PRICE < 1"}],
                "boosts": [{"where": "EXCLUDE ItemID WHERE Items.BRAND IN ('A')", "factor": 2}],
                "pins": [{"item_id": "p9", "position": 1, "starts_at": "2026-11-01T00:00:00Z"}],
            },
        ),
        NAMES,
    )


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"strategies": [{"strategy": "campaign"}]}, "the strategy campaign needs campaign"),
        ({"strategies": [{"strategy": "fixed"}]}, "the strategy fixed needs item_ids"),
        (
            {"strategies": [{"strategy": "for-you", "recipe": "sims"}]},
            "recipe belongs to the strategy recipe",
        ),
        ({"strategies": [{"strategy": "similar", "area": "region"}]}, "area belongs to the strategy popular"),
        (
            {"strategies": [{"strategy": "campaign", "campaign": "x"}]},
            "no campaign 'x'; there are: recommender",
        ),
        ({"strategies": FOR_YOU * 2}, "for-you occurs twice"),
        ({"filters": [{"name": "x"}]}, "filters[0]: there is no filter 'x'; there are: in-season"),
        ({"filters": [{"name": "in-season"}]}, "filters[0]: "),
        ({"rules": {"boosts": [{"where": "Items.PRICE < 1", "factor": 2}]}}, "rules.boosts[0].where: "),
        (
            {"rules": {"boosts": [{"where": "INCLUDE UserID WHERE Users.AGE < 1", "factor": 2}]}},
            "rules.boosts[0].where: A rule selects items",
        ),
        ({"rules": {"hide": [{}]}}, "rules.hide[0]: name the items to hide"),
        (
            {
                "rules": {
                    "pins": [
                        {
                            "item_id": "a",
                            "position": 1,
                            "starts_at": "2026-01-02T00:00:00Z",
                            "ends_at": "2026-01-01T00:00:00Z",
                        }
                    ]
                }
            },
            "rules.pins[0]: ends_at must be later than starts_at",
        ),
        (
            {
                "rules": {
                    "promotions": [
                        {"name": name, "where": "INCLUDE ItemID WHERE Items.PRICE > 1", "percent": 60}
                        for name in ("a", "b")
                    ]
                }
            },
            "more than 100 percent",
        ),
    ],
)
def test_a_member_that_cannot_be_served_is_named(members: dict[str, Any], reason: str) -> None:
    assert reason in problem(**members)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"{}", "strategies: Field required"),
        (b'{"strategies":[{"strategy":"for-you"}],"limit":0}', "limit: "),
        (b'{"strategies":[{"strategy":"for-you"}],"rules":{"boost":[]}}', "rules.boost: Extra inputs"),
        (b'{"strategies":[{"strategy":"magic"}]}', "strategies.0.strategy: "),
        (b"[]", "the body: "),
        (b"{", "the body: "),
    ],
)
def test_an_invalid_document_is_refused_with_the_member(document: bytes, reason: str) -> None:
    with pytest.raises(Permanent, match="The placement is invalid") as caught:
        parse(document)

    assert reason in str(caught.value)


def declared(**placements: Any) -> Declaration:
    return Declaration.parse({"datasetGroups": {"shop": {"placements": placements}}})


def test_a_plan_creates_and_changes_placements_and_then_has_nothing_to_do() -> None:
    before = AccountState(declared(home={"strategies": FOR_YOU}))
    target = declared(home={"strategies": FOR_YOU, "limit": 5}, cart={"strategies": FOR_YOU})

    assert [str(step) for step in plan(target, before)] == [
        "~ update placement shop/home: another definition",
        "+ create placement shop/cart",
    ]
    assert plan(target, AccountState(target)) == []


def test_a_member_with_its_default_is_no_change() -> None:
    before = AccountState(declared(home={"strategies": FOR_YOU}))

    assert plan(declared(home={"strategies": FOR_YOU, "limit": 10}), before) == []


def test_amazon_personalize_has_no_placements() -> None:
    before = AccountState(declared(), has_placements=False)

    [step] = plan(declared(home={"strategies": FOR_YOU}), before)

    assert step.sign == "conflict"


def test_an_invalid_placement_of_a_declaration_is_named() -> None:
    with pytest.raises(Permanent, match="home: limit: "):
        declared(home={"strategies": FOR_YOU, "limit": 1000})
