"""The best items by their scores: seen items, masks, bonuses and rankings of given items."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models import Scoring, ScoringComponent
from shared.models.scoring import best, nth_highest
from shared.models.workspace import Workspace
from tests.unit.shared.scoring_models import ITEMS, Event, Row, events, made, model, parts, rows, table

some_scores = st.sampled_from([0.0, 0.25, 1.0, -math.inf]) | st.floats(-5, 5)


@given(
    st.lists(some_scores, min_size=1, max_size=30) | st.lists(some_scores, min_size=60, max_size=400),
    st.integers(1, 40) | st.integers(1, 3),
)
def test_the_best_are_found_in_one_row_and_in_many(scores: list[float], limit: int) -> None:
    ordered = sorted(range(len(scores)), key=lambda number: (-scores[number], number))
    expected = [number for number in ordered if scores[number] > -math.inf][:limit]
    row = np.array(scores)
    assert best(row, limit).tolist() == expected
    offsets, numbers = Workspace(3, len(scores)).best(np.stack([row, row[::-1], row]), limit)
    assert offsets.tolist() == [0, len(expected), 2 * len(expected), 3 * len(expected)]
    assert numbers[: len(expected)].tolist() == expected


@pytest.mark.parametrize("filled", [1.0, 0.3, 0.0], ids=["all different", "mostly zeros", "all zeros"])
def test_the_nth_highest_of_each_row_is_found_however_many_scores_are_equal(filled: float) -> None:
    random = np.random.default_rng(5)
    scores = random.random((6, 900)) * (random.random((6, 900)) < filled)
    expected = np.sort(scores, axis=1)[:, ::-1]
    for place in (1, 25, 900):
        assert nth_highest(scores.copy(), place).tolist() == expected[:, place - 1].tolist()
        assert nth_highest(scores[2].copy(), place) == expected[2, place - 1]


def test_seen_items_are_left_out_in_both_ways() -> None:
    everything = [dict.fromkeys(range(ITEMS), 1.0) for _ in range(ITEMS)]
    seen = [(0, "view", 1), (2, "purchase", 2), (4, "search", 3)]
    fitted = model([ScoringComponent("p", table(everything))], [seen], exclude_seen=True)
    live = [item for item, _ in fitted.recommend(user_id="u0", history=[("i5", "view", 4)])]
    assert sorted(live) == ["i1", "i3", "i4", "i6"]
    (_, items, _), *_ = fitted.recommend_many(["u0"], 25)
    assert sorted(items) == ["i1", "i3", "i4", "i5", "i6"]


mask_of_items = st.lists(st.booleans(), min_size=ITEMS, max_size=ITEMS)


@given(parts, events, mask_of_items, st.integers(1, ITEMS), st.booleans())
def test_a_mask_restricts_what_is_recommended_and_changes_no_score(
    parts: list[tuple[list[Row], float, float, str]],
    seen: list[Event],
    allowed: list[bool],
    limit: int,
    exclude_seen: bool,  # noqa: FBT001
) -> None:
    fitted = model(made(parts), exclude_seen=exclude_seen)
    history = [(f"i{item}", kind, when) for item, kind, when in seen]
    everything = fitted.recommend(history=history, limit=ITEMS)
    found = fitted.recommend(history=history, limit=limit, allowed=np.array(allowed))
    assert found == [(item, score) for item, score in everything if allowed[int(item[1:])]][:limit]


@given(parts, st.lists(events, min_size=1, max_size=5), mask_of_items, mask_of_items)
def test_a_batch_takes_one_mask_for_all_or_one_each(
    parts: list[tuple[list[Row], float, float, str]],
    users: list[list[Event]],
    for_all: list[bool],
    for_first: list[bool],
) -> None:
    fitted = model(made(parts), users)
    queries = [f"u{number}" for number in range(len(users))] + ["nobody"]
    own = {"u0": np.array(for_first), "nobody": np.array(for_all)}
    for given_mask, mask in (
        (np.array(for_all), lambda _: np.array(for_all)),
        (own.get, own.get),
    ):
        for query, items, scores in fitted.recommend_many(queries, 3, given_mask):
            live = fitted.recommend(user_id=query, limit=3, allowed=mask(query))
            assert items == [item for item, _ in live]
            assert scores == pytest.approx([score for _, score in live], abs=1e-6)


@given(rows, mask_of_items, st.integers(0, ITEMS))
def test_similar_and_popular_items_are_masked_too(
    content: list[Row], allowed: list[bool], query: int
) -> None:
    mask = np.array(allowed)
    for kind in ("item", "popular"):
        like = replace(
            model([ScoringComponent("p", table(content))]), scoring=Scoring(kind=kind, scored=False)
        )
        everything = like.recommend(item_id=f"i{query}", limit=ITEMS, relevance=True)
        kept = [(item, score) for item, score in everything if allowed[int(item[1:])]]
        found = like.recommend(item_id=f"i{query}", limit=ITEMS, relevance=True, allowed=mask)
        assert found == kept
        ((_, items, scores),) = like.recommend_many([f"i{query}"], ITEMS, mask)
        assert list(zip(items, scores, strict=True)) == kept
        ((_, items, scores),) = like.recommend_many([f"i{query}"], ITEMS, lambda _: mask)
        assert list(zip(items, scores, strict=True)) == kept


@given(parts, events, st.lists(st.integers(0, ITEMS - 1), min_size=1, unique=True), st.booleans())
def test_a_ranking_is_a_softmax_over_what_is_given(
    parts: list[tuple[list[Row], float, float, str]],
    seen: list[Event],
    wanted: list[int],
    softmax: bool,  # noqa: FBT001
) -> None:
    scale = "softmax" if softmax else "plain"
    fitted = model(made(parts), exclude_seen=True)
    fitted = replace(fitted, scoring=fitted.scoring.model_copy(update={"scale": scale}))
    plain = replace(fitted, scoring=fitted.scoring.model_copy(update={"exclude_seen": False}))
    history = [(f"i{item}", kind, when) for item, kind, when in seen]
    ranked = fitted.rank("nobody", history, [*(f"i{item}" for item in wanted), "stranger"])
    everything = plain.recommend(history=history, limit=ITEMS)
    assert [item for item, _ in ranked] == [item for item, _ in everything if int(item[1:]) in wanted]
    assert fitted.rank("nobody", history, ["stranger"]) == []
    if softmax:
        assert sum(score for _, score in ranked) == pytest.approx(1, abs=1e-5)


def test_a_bonus_raises_a_score_by_a_share_of_the_best() -> None:
    fitted = model([ScoringComponent("p", table([{1: 1.0, 2: 0.5}, *[{}] * 6]))])
    seen = [("i0", "view", 1)]
    bonus = np.zeros(ITEMS)
    bonus[5] = 0.8
    for history, before, after in (
        (seen, ["i1", "i2"], ["i1", "i5", "i2"]),
        ([], ["i0", "i1"], ["i5", "i0"]),
    ):
        plain = fitted.recommend(history=history, limit=2)
        lifted = fitted.recommend(history=history, limit=3, bonus=bonus)
        assert [item for item, _ in plain] == before
        assert [item for item, _ in lifted][: len(after)] == after
        assert [score for _, score in lifted] == sorted((score for _, score in lifted), reverse=True)


@given(
    st.lists(st.tuples(st.sampled_from([-math.inf, 0.0, 0.5, 1.0]), st.booleans()), min_size=1),
    st.integers(1, 8),
)
def test_the_best_among_some_are_those_that_are_left_when_the_others_are_excluded(
    rows: list[tuple[float, bool]], limit: int
) -> None:
    scores = np.array([score for score, _ in rows])
    among = np.array([marked for _, marked in rows])
    barred = np.where(among, scores, -np.inf)
    assert best(scores, limit, among).tolist() == best(barred, limit).tolist()


def test_a_bonus_raises_scores_for_an_unknown_user_too() -> None:
    fitted = model([ScoringComponent("p", table([{}] * ITEMS))])
    bonus = np.zeros(ITEMS)
    bonus[5] = 0.8
    names = fitted.items.strings

    def found(**asked: Any) -> list[str]:
        return [item for item, _ in fitted.recommend(user_id="stranger", bonus=bonus, **asked)]

    assert found(limit=3) == [names[5], names[0], names[1]]
    assert found(limit=2, exclude={names[0]}) == [names[5], names[1]]
    allowed = np.arange(ITEMS) % 2 == 0
    assert found(limit=ITEMS, allowed=allowed) == [names[0], names[2], names[4], names[6]]
