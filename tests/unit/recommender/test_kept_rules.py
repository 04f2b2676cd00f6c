"""Rules that are kept between requests change with time and with filters; the pool lacks no candidate."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.recommender.serving.placements.candidates import Candidate
from services.recommender.serving.placements.request import PlacementRequest, Visitor
from services.recommender.serving.placements.rules import RuleRun
from services.recommender.store.profiles import Profile
from shared.events.placements import Placement
from shared.filters import Filter
from tests.unit.recommender.rule_worlds import NOON, RuleWorld, ids

HOUR = timedelta(hours=1)


def placement(**parts: Any) -> Placement:
    return Placement.model_validate({"strategies": [{"strategy": "for-you"}], **parts})


async def test_rules_begin_and_end_while_the_placement_stays_the_same() -> None:
    period = {"starts_at": NOON, "ends_at": NOON + HOUR}
    where = 'INCLUDE ItemID WHERE Items.BRAND = "acme"'
    rules = {
        "hide": [{"item_ids": ["a"], **period}],
        "boosts": [{"where": where, "factor": 5, **period}],
        "pins": [{"item_id": "p", "position": 1, **period}],
    }
    world, dated = RuleWorld({"c": {"BRAND": "acme"}}), placement(rules=rules)
    before, during = ["a", "b", "c"], ["p", "c", "b"]
    for minutes, expected in (
        (-1, before),
        (0, during),
        (59, during),
        (60, before),
        (30, during),
        (-9, before),
    ):
        now = NOON + timedelta(minutes=minutes)
        assert ids(await world.apply(dated, ["a", "b", "c"], now=now)) == expected


async def test_a_filter_that_was_replaced_or_deleted_counts_at_once() -> None:
    world = RuleWorld(
        {"a": {"PRICE": 5.0}, "b": {"PRICE": 50.0}},
        filters={"cheap": "INCLUDE ItemID WHERE Items.PRICE < 10"},
    )
    filtered = placement(filters=[{"name": "cheap"}])
    assert ids(await world.apply(filtered, ["a", "b"])) == ["a"]
    world.stored_filters.by_name["cheap"] = Filter.parse("EXCLUDE ItemID WHERE Items.PRICE < 10")
    assert ids(await world.apply(filtered, ["a", "b"])) == ["b"]
    del world.stored_filters.by_name["cheap"]
    assert ids(await world.apply(filtered, ["a", "b"])) == []


BRANDS = ("acme", "bolt", "core")


@settings(max_examples=100, deadline=None)
@given(
    brands=st.lists(st.sampled_from(BRANDS), min_size=60, max_size=60),
    factors=st.lists(st.sampled_from([0.25, 0.5, 0.9, 1.1, 2.0, 3.0]), min_size=1, max_size=3),
    limit=st.integers(1, 12),
)
async def test_candidates_beyond_the_pool_are_never_in_the_answer(
    brands: list[str], factors: list[float], limit: int
) -> None:
    world = RuleWorld({f"i{n}": {"BRAND": brand} for n, brand in enumerate(brands)})
    boosts = [
        {"where": f'INCLUDE ItemID WHERE Items.BRAND = "{BRANDS[n]}"', "factor": factor}
        for n, factor in enumerate(factors)
    ]
    boosted = placement(rules={"boosts": boosts}, limit=limit)

    async def answer(*, explain: bool) -> tuple[int, list[str]]:
        request = PlacementRequest("shop", "home", explain=explain)
        run = await RuleRun.begin(boosted, request, Visitor(Profile()), world.sources, NOON)
        pool = [Candidate(f"i{n}", "for-you") for n in range(len(brands))][: run.pool]
        return run.pool, ids(run.result(run.arranged(await run.admitted(pool))))

    size, items = await answer(explain=False)
    explained_size, explained = await answer(explain=True)
    assert size <= explained_size
    assert items == explained
