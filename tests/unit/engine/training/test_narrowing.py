"""Choosing quickly: fewer rows tell what is worth trying on all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import EVEN, TypeWeights
from services.engine.training.selection import candidates, dense_scores, grid_search, model_selection
from services.engine.training.selection.grid_search import ComponentConfig, TrialResult
from services.engine.training.selection.holdout_evaluator import HoldoutEvaluator, Scores
from shared.models import Neighbours, ScoringComponent
from shared.models.workspace import Workspace


@pytest.fixture
def evaluator(two_tastes: Dataset) -> HoldoutEvaluator:
    found = HoldoutEvaluator.of(two_tastes)
    assert found is not None
    return found


def test_some_rows_are_evenly_spaced_rows_of_the_whole(evaluator: HoldoutEvaluator) -> None:
    fold, some = evaluator.folds[0], evaluator.subsample(len(evaluator.relevant) // 3)

    assert len(some.relevant) <= len(evaluator.relevant) // 3
    step = -(-len(evaluator.relevant) // (len(evaluator.relevant) // 3))
    assert (some.folds[0].held.users == fold.held.users[::step]).all()
    assert (some.folds[0].relevant == fold.relevant[::step]).all()
    seen, all_seen = some.folds[0].events(dict(EVEN)), fold.events(dict(EVEN))
    kept = all_seen.users % step == 0
    assert (seen.users == all_seen.users[kept] // step).all()
    assert (seen.items == all_seen.items[kept]).all()
    assert evaluator.subsample(len(evaluator.relevant)) is evaluator


def test_a_dense_table_scores_as_its_neighbours_do(evaluator: HoldoutEvaluator, two_tastes: Dataset) -> None:
    fold = evaluator.folds[0]
    table = candidates.user_candidates(two_tastes)[0].variants["fade 0.8, backward 0.5"](
        fold.train, dict(EVEN)
    )
    assert isinstance(table, Neighbours)
    assert dense_scores.has_dense_copy(table)
    seen, (rows, items) = fold.events(dict(EVEN)), fold.relevant.shape

    scores = dense_scores.DenseTables().scores(table, seen, seen.shares(0.8, "event"), rows)

    expected = Workspace(rows, items).scores([ScoringComponent("p", table, 1.0, 0.8, "event")], seen, rows)
    np.testing.assert_allclose(scores, expected, atol=1e-6)


@pytest.mark.parametrize(("items", "entries"), [(100, 100 * 100 // 64 - 1), (5_001, 5_001 * 5_001 // 32)])
def test_a_sparse_or_very_large_table_stays_as_it_is(items: int, entries: int) -> None:
    counts = np.full(items, entries // items)
    counts[: entries % items] += 1
    offsets = np.concatenate(([0], np.cumsum(counts)))
    table = Neighbours(offsets, np.zeros(entries, np.int32), np.ones(entries, np.float32))

    assert not dense_scores.has_dense_copy(table)


def test_many_rows_are_asked_about_the_best_of_some_rows_only(
    evaluator: HoldoutEvaluator, two_tastes: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid_search, "_MANY_ROWS", len(evaluator.relevant) - 1)
    asked: list[int] = []
    scored = HoldoutEvaluator.scores

    def watched(
        evaluator: HoldoutEvaluator, tables: Any, weights: TypeWeights, decay: float, unit: Any
    ) -> Scores:
        asked.append(len(evaluator.relevant))
        return scored(evaluator, tables, weights, decay, unit)

    monkeypatch.setattr(HoldoutEvaluator, "scores", watched)
    tried = grid_search.run_trials(
        evaluator, candidates.user_candidates(two_tastes)[0], dict(EVEN), [True, False]
    )

    assert asked.count(len(evaluator.relevant)) <= 2 < len(asked)
    for option, (winner,) in tried.items():
        assert winner.scores.shape == evaluator.relevant.shape
        assert winner.gains == pytest.approx(evaluator.gains(winner.scores, exclude_seen=option))


def tried(gain: float) -> TrialResult:
    return TrialResult(
        ComponentConfig("p", "v", 1.0, "event"), np.zeros((2, 2), np.float32), np.full(2, gain), (0,)
    )


def test_a_treatment_of_seen_items_that_gains_less_than_half_is_not_blended() -> None:
    far, near = [[tried(0.1)], [tried(0.14)]], [[tried(0.3)], [tried(0.2)]]

    assert model_selection._promising({True: far, False: near}) == [False]
    assert model_selection._promising({True: [[tried(0.15)]], False: near}) == [True, False]
