"""The rules of a placement do what a slow and plain program does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.recommender.serving.placements.request import Visitor
from services.recommender.serving.placements.rules import RuleResult
from services.recommender.store.profiles import Profile
from tests.unit.recommender.plain_rules import BOUGHT, CURRENT, EXPRESSIONS, VIEWED, PlainRules, Row
from tests.unit.recommender.rule_worlds import NOON, RuleWorld, ids

ITEMS = [f"i{n}" for n in range(24)]
WHERE = st.sampled_from(list(EXPRESSIONS))
PERIODS = st.sampled_from(
    [(None, None), (-1, None), (None, 1), (-1, 1), (1, None), (None, 0), (0, 1), (-2, -1)]
)
IDS = st.lists(st.sampled_from([*ITEMS, "new"]), max_size=3, unique=True)
COUNTS = st.dictionaries(st.sampled_from(ITEMS), st.integers(0, 6), max_size=12)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "BRAND": st.sampled_from(["acme", "bolt", "acme|cone", "cone", "dune"]),
        "PRICE": st.sampled_from([1.0, 9.5, 10.0, 25.0, 30.0]),
    },
)


@st.composite
def dated(draw: st.DrawFn, rule: st.SearchStrategy[Row]) -> Row:
    starts, ends = draw(PERIODS)
    ends_at = {} if ends is None else {"ends_at": NOON + timedelta(hours=ends)}
    return draw(rule) | ({} if starts is None else {"starts_at": NOON + timedelta(hours=starts)}) | ends_at


def some(rule: st.SearchStrategy[Row], most: int) -> st.SearchStrategy[list[Row]]:
    return st.lists(dated(rule), max_size=most)


RULES = st.fixed_dictionaries(
    {
        "hide": some(st.fixed_dictionaries({"item_ids": IDS, "where": st.one_of(st.none(), WHERE)}), 2),
        "fatigue": st.one_of(st.none(), st.fixed_dictionaries({"impressions": st.integers(1, 5)})),
        "quotas": st.lists(
            st.fixed_dictionaries({"per_day": st.integers(1, 6), "item_ids": IDS}), max_size=2
        ),
        "boosts": some(
            st.fixed_dictionaries({"where": WHERE, "factor": st.sampled_from([0.25, 0.5, 2, 8])}), 3
        ),
        "caps": st.lists(
            st.fixed_dictionaries({"column": st.sampled_from(["BRAND", "price"]), "most": st.integers(1, 4)}),
            max_size=2,
            unique_by=lambda cap: cap["column"],
        ),
        "promotions": some(
            st.fixed_dictionaries(
                {"name": st.sampled_from("ab"), "where": WHERE, "percent": st.integers(1, 100)}
            ),
            2,
        ),
        "pins": some(
            st.fixed_dictionaries(
                {"item_id": st.sampled_from([*ITEMS, "new", "gone"]), "position": st.integers(1, 9)}
            ),
            3,
        ),
    }
)


@dataclass(frozen=True)
class Case:
    """A placement's rules, a catalogue, candidates and a visitor."""

    rules: Row
    filters: list[str]
    items: dict[str, Row]
    candidates: list[tuple[str, str]]
    limit: int
    impressions: dict[str, int]
    answers: dict[str, int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rules: Row = draw(RULES)
    order, split = draw(st.permutations(ITEMS)), draw(st.integers(0, 20))
    return Case(
        rules | {"promotions": list({each["name"]: each for each in rules["promotions"]}.values())},
        draw(st.lists(WHERE, max_size=2, unique=True)),
        draw(st.dictionaries(st.sampled_from(ITEMS), ROWS, max_size=24)),
        [(item, "for-you" if n % 3 or n > split else "popular") for n, item in enumerate(order[:20])],
        draw(st.integers(1, 12)),
        draw(COUNTS),
        draw(COUNTS),
    )


def outcome(case: Case, *, explain: bool) -> RuleResult:
    names = {f"f{n}": expression for n, expression in enumerate(case.filters)}
    world = RuleWorld(
        case.items, frozenset({"gone"}), names, {"u": {"age": 40.0}}, case.answers, case.impressions
    )
    history = [(item, "view", 1) for item in sorted(VIEWED)]
    visitor = Visitor(Profile(history, set(BOUGHT)))
    placement = {"filters": [{"name": name} for name in names], "rules": case.rules, "limit": case.limit}
    request = {"user_id": "u", "item_id": CURRENT, "explain": explain}
    return asyncio.run(world.apply(placement, case.candidates, request=request, visitor=visitor))


@settings(max_examples=60, deadline=None)
@given(case=cases(), explain=st.booleans())
def test_rules_equal_a_plain_program(case: Case, *, explain: bool) -> None:
    result = outcome(case, explain=explain)

    plain = PlainRules(case.rules, case.filters, case.items, case.limit)
    reasons = {item: plain.reason(item, case.impressions, case.answers) for item, _ in case.candidates}
    ordered = [item for item, _ in plain.boosted([pair for pair in case.candidates if not reasons[pair[0]]])]
    capped = plain.capped(ordered)
    chosen = plain.promoted(capped)
    pins = list(plain.pins.values())
    others = [item for item in capped if item not in [*chosen, *pins]]
    free = [item for item in ids(result) if item not in pins]
    assert plain.pinned(free + [item for item in others if item not in free]) == ids(result)
    assert [item for item in free if item in chosen] == chosen, "promoted items are there, in their order"
    shown = [item for item in free if item not in chosen]
    assert shown == others[: len(shown)], "the others keep their order"
    assert len(free) == min(case.limit - len(pins), len(chosen) + len(others))
    expected = {item: reason for item, reason in reasons.items() if reason}
    expected |= {item: "cap" for item in ordered if item not in capped}
    expected |= {item: "limit" for item in capped if item not in ids(result)}
    dropped = {item: step for item, step in expected.items() if item not in pins}
    assert {drop.item_id: drop.step for drop in result.dropped} == (dropped if explain else {})
    assert set(dropped.values()) - {"limit"} <= set(result.applied)
