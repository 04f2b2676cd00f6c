"""Team-draft interleaving: the picks of variants, and an answer of a placement that has them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.recommender.metrics import SET_ASIDE
from services.recommender.serving.placements.request import PlacementRequest
from services.recommender.serving.team_draft import draft_seed, team_draft
from shared.experiments import Experiment
from tests.unit.recommender.placement_shop import TENANT, Shop, ranked
from tests.unit.recommender.test_placement_variants import a_shop, fixed

RANKINGS = st.lists(st.lists(st.integers(0, 12), unique=True, max_size=10), min_size=1, max_size=4)
NOW = datetime.now(UTC)


@given(rankings=RANKINGS, limit=st.integers(0, 15), seed=st.binary(min_size=32, max_size=32))
def test_each_variant_picks_its_best_item_that_is_left(
    rankings: list[list[int]], limit: int, seed: bytes
) -> None:
    picks = team_draft(rankings, limit, seed)

    assert picks == team_draft(rankings, limit, seed)
    items = [rankings[pick.variant][pick.place] for pick in picks]
    assert len(set(items)) == len(items) == min(limit, len(set().union(*rankings)))
    for position, pick in enumerate(picks):
        better = rankings[pick.variant][: pick.place]
        assert set(better) <= set(items[:position])
    # While every variant has items, a round has each of them once.
    width = len(rankings)
    for begin in range(0, len(picks) - width, width):
        before = set(items[: begin + width])
        if all(set(ranking) - before for ranking in rankings):
            assert len({pick.variant for pick in picks[begin : begin + width]}) == width


def test_every_variant_is_first_equally_often_and_gets_equal_credit_without_a_difference() -> None:
    first, credit = Counter[int](), Counter[int]()
    for number in range(6_000):
        seed = draft_seed("salt", f"u{number}", "home", 0)
        picks = team_draft([range(10), range(5, 15), range(9, -1, -1)], 4, seed)
        first[picks[0].variant] += 1
        # Everybody clicks the item at the top, whoever picked it.
        credit[picks[0].variant] += 1

    assert all(abs(count - 2_000) < 4 * (6_000 * 2 / 9) ** 0.5 for count in first.values())
    assert credit == first


def test_a_seed_depends_on_unit_request_and_hour() -> None:
    seeds = {
        draft_seed("s", unit, request, seconds)
        for unit in ("u1", "u2")
        for request in ("home", "cart")
        for seconds in (0, 3_599, 3_600)
    }

    assert len(seeds) == 8


def an_experiment(*variants: dict[str, Any], **fields: Any) -> Experiment:
    document = {
        "tenant": TENANT,
        "name": "e",
        "version": 2,
        "surface": "placement/home",
        "variants": [{"name": "control"}, *variants],
        "traffic": 1.0,
        "salt": "salt",
        "status": "running",
        "created_at": NOW,
        "started_at": NOW,
        "design": {"kind": "interleaving"},
    }
    return Experiment.model_validate(document | fields)


POPULAR = {"name": "popular", "strategy": "popular"}
LAST = {"name": "last", "placement": fixed("i3", "i9", "i8", limit=3).model_dump()}


def the_shop(experiment: Experiment) -> Shop:
    shop = a_shop(experiment)
    shop.popular["all"] = ranked(5, 2, 7)
    return shop


async def test_an_answer_of_a_placement_has_items_of_all_variants() -> None:
    shop = the_shop(an_experiment(POPULAR, LAST))
    lists = {"control": ["i1", "i2", "i3"], "popular": ["i5", "i2", "i7"], "last": ["i3", "i9", "i8"]}
    credits_ = Counter[str]()

    for number in range(30):
        request = PlacementRequest(TENANT, "home", f"u{number}")
        answer, page = await shop.engine.answer(request), await shop.engine.page([request])
        items = [item.item_id for item in answer.items]
        assert len(items) == len(answer.picked_by) == len(set(items)) == 3
        assert set(answer.picked_by) == set(lists)
        assert all(item in lists[variant] for item, variant in zip(items, answer.picked_by, strict=True))
        assert (page[0].items, page[0].picked_by) == (answer.items, answer.picked_by)
        assert answer.assignment is not None
        assert answer.assignment.variant.name == "interleaved"
        credits_[answer.picked_by[0]] += 1

    assert set(credits_) == set(lists)


async def test_a_disabled_variant_picks_nothing_and_one_alone_is_no_comparison() -> None:
    two = the_shop(an_experiment(POPULAR, LAST, disabled=("last",)))
    one = the_shop(an_experiment(POPULAR, LAST, disabled=("last", "popular")))
    request = PlacementRequest(TENANT, "home", "u1")

    assert set((await two.engine.answer(request)).picked_by) == {"control", "popular"}
    usual = await one.engine.answer(request)
    assert (usual.assignment, usual.picked_by) == (None, ())


async def test_a_variant_that_cannot_answer_leaves_the_usual_answer() -> None:
    missing = {"name": "missing", "filter": {"name": "no-such-filter"}}
    before = SET_ASIDE.labels("e", "missing")._value.get()
    answer = await the_shop(an_experiment(missing)).engine.answer(PlacementRequest(TENANT, "home", "u1"))

    assert [item.item_id for item in answer.items] == ["i1", "i2", "i3"]
    assert (answer.assignment, answer.picked_by) == (None, ())
    assert SET_ASIDE.labels("e", "missing")._value.get() == before + 1


async def test_a_forced_unit_gets_one_variant_alone() -> None:
    shop = the_shop(an_experiment(POPULAR, forced={"me": "popular"}))
    answer = await shop.engine.answer(PlacementRequest(TENANT, "home", "me"))

    assert [item.item_id for item in answer.items] == ["i5", "i2", "i7"]
    assert answer.picked_by == ()
