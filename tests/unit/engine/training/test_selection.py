"""Holding users out of the training data, and choosing what finds most for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset.event_weights import EVEN, GRADED, TypeWeights
from services.engine.training.fitting import silent
from services.engine.training.methods import ease
from services.engine.training.methods.repeat_consumption import repeat_consumption
from services.engine.training.recipes import RECIPES, Dataset, train
from services.engine.training.selection import (
    blending,
    candidates,
    grid_search,
    holdout_evaluator,
    model_selection,
)
from services.engine.training.selection.holdout_evaluator import HoldoutEvaluator, Scores, sampled
from shared.models.neighbours import Unit

Read = Callable[[list[tuple[str, str, int, str]]], Dataset]

RECIPE = RECIPES["aws-user-personalization"]


@pytest.fixture
def evaluator(two_tastes: Dataset) -> HoldoutEvaluator:
    found = HoldoutEvaluator.of(two_tastes)
    assert found is not None
    return found


def choose(dataset: Dataset, configured: TypeWeights | None = None) -> model_selection.EnsembleConfig:
    return model_selection.select_ensemble(
        dataset,
        HoldoutEvaluator.of(dataset),
        candidates.user_candidates(dataset),
        configured,
        silent,
        exclude_seen=None,
    )


def test_what_people_come_back_to_is_not_left_out(read: Read) -> None:
    """Forty people each buy their own two things over and over."""
    events = [
        (f"u{user}", f"i{(user * 2 + day) % 2 + user % 20 * 2}", day, "purchase")
        for user in range(40)
        for day in range(8)
    ]
    model = RECIPE.fit(read(events), TrainingConfig(), silent)
    assert model.notes["exclude_seen"] is False
    assert model.notes["repeats_among_sought"] == 1.0
    assert {item for item, _ in model.recommend(user_id="u3", limit=2)} == {"i6", "i7"}


def test_half_of_the_held_out_users_are_absent_from_the_training_data(evaluator: HoldoutEvaluator) -> None:
    for fold in evaluator.folds:
        known = np.isin(fold.held.users, fold.train.users)
        assert known.sum() == len(known) // 2
        assert not set(zip(fold.train.users, fold.train.times, strict=True)) & set(
            zip(fold.held.relevant.users, fold.held.relevant.times, strict=True)
        )


@pytest.mark.parametrize("more", [0.0, 0.1], ids=["one thing relevant", "several"])
def test_the_gain_is_a_third_ndcg_and_two_thirds_what_is_found(
    evaluator: HoldoutEvaluator, more: float
) -> None:
    random = np.random.default_rng(1)
    added = (random.random(evaluator.relevant.shape) < more) & ~evaluator.excluded
    evaluator = replace(evaluator, relevant=evaluator.relevant | added)
    scores = np.random.default_rng(0).random(evaluator.relevant.shape).astype(np.float32)
    most = np.minimum(evaluator.relevant.sum(axis=1), 25)
    unit = most[most > 1].mean() if more else 1.0
    expected = []
    for row, relevant, excluded in zip(scores, evaluator.relevant, evaluator.excluded, strict=True):
        order = [item for item in np.argsort(-row) if not excluded[item]][:25]
        won = sum(1 / math.log2(rank + 2) for rank, item in enumerate(order) if relevant[item])
        ideal = sum(1 / math.log2(rank + 2) for rank in range(min(25, relevant.sum())))
        got = sum(relevant[item] for item in order) / unit
        expected.append((won / ideal + 2 * got) / 3 if relevant.sum() > 1 else won / ideal)
    assert evaluator.gain(scores, exclude_seen=True) == pytest.approx(np.mean(expected))


def test_a_perfect_order_gains_everything(evaluator: HoldoutEvaluator) -> None:
    assert evaluator.gain(evaluator.relevant.astype(np.float32), exclude_seen=False) == pytest.approx(1)


def test_a_row_with_more_hits_gains_more(evaluator: HoldoutEvaluator) -> None:
    """Of two rows that find all they seek, the one that seeks more gains more; on average it is 1."""
    relevant = np.zeros_like(evaluator.relevant)
    relevant[:, 0] = True
    relevant[::2, :2] = True
    relevant[1::2, :4] = True
    scores = np.where(relevant, np.arange(1.0, relevant.shape[1] + 1), 0).astype(np.float32)
    gains = replace(evaluator, relevant=relevant).gains(scores, exclude_seen=False)
    assert gains[0] < 1 < gains[1]
    assert gains[:2].mean() == pytest.approx(1)


def test_the_best_variant_is_given_a_unit_and_a_decay_of_its_own(
    evaluator: HoldoutEvaluator, two_tastes: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the default variant finds nothing, it can't say how the events of the others fade."""
    real = next(iter(candidates.user_candidates(two_tastes)[0].variants.values()))
    nothing = repeat_consumption
    method = candidates.CandidateMethod("sequence", {"nothing": nothing, "real": real}, 0.8, "event")
    tries = []
    scored = HoldoutEvaluator.scores

    def watched(
        evaluator: HoldoutEvaluator, tables: Any, weights: TypeWeights, decay: float, unit: Unit
    ) -> Scores:
        tries.append((len(tables[0].items), decay))
        return scored(evaluator, tables, weights, decay, unit)

    monkeypatch.setattr(HoldoutEvaluator, "scores", watched)
    grid_search.run_trials(evaluator, method, dict(EVEN), [True])
    items = len(two_tastes.item_ids)
    assert len({decay for entries, decay in tries if entries != items}) > 1


def test_too_few_users_are_not_held_out(two_tastes: Dataset) -> None:
    few = two_tastes.where(two_tastes.users < 19)
    assert HoldoutEvaluator.of(few) is None
    choice = choose(few)
    assert choice.notes["held_out_users"] == 0
    assert not choice.exclude_seen
    assert {part.weight for part in choice.components} == {1.0}


def test_large_data_is_evaluated_on_a_sample_of_its_users(
    two_tastes: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holdout_evaluator, "_EVENTS", 200)
    part = sampled(two_tastes)
    assert 100 < len(part) < 300
    kept = np.unique(part.users)
    assert len(part) == np.isin(two_tastes.users, kept).sum()
    evaluator = HoldoutEvaluator.of(two_tastes)
    assert evaluator is not None
    assert evaluator.share == pytest.approx(len(kept) / len(two_tastes.user_ids))


def test_few_rows_are_asked_in_several_draws(
    evaluator: HoldoutEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert evaluator.draws.shape == (6, len(evaluator.relevant))
    assert evaluator.draws.sum(axis=1) == pytest.approx(1)
    assert len(np.unique(evaluator.draws, axis=0)) == 6
    monkeypatch.setattr(holdout_evaluator, "_ROWS_OF_ALL_DRAWS", len(evaluator.relevant))
    once = HoldoutEvaluator(evaluator.folds, evaluator.share, evaluator.excluded, evaluator.relevant).draws
    assert np.unique(once).tolist() == [1 / len(evaluator.relevant)]


def test_the_ensembles_of_the_draws_are_averaged(evaluator: HoldoutEvaluator, two_tastes: Dataset) -> None:
    """Each draw's shares sum to 1, and so do those of the mean, but for parts that are cut off."""
    methods = candidates.user_candidates(two_tastes)
    found = [grid_search.run_trials(evaluator, each, dict(EVEN), [True])[True] for each in methods]
    parts, scores, gain = blending.averaged_ensemble(evaluator, found, exclude_seen=True)
    known = {each.config: each.scores for winners in found for each in winners}
    shares = [part.weight * known[replace(part, weight=1.0)].std() for part in parts]
    assert 0.8 < sum(shares) <= 1.001
    assert 0 < gain < 1.001
    mixed = sum(part.weight * known[replace(part, weight=1.0)] for part in parts)
    np.testing.assert_allclose(scores, mixed, rtol=1e-4, atol=1e-6)
    for winners in found:
        assert sorted(draw for each in winners for draw in each.won) == list(range(len(evaluator.draws)))


def test_types_are_graded_where_that_finds_more(read: Read) -> None:
    """Views are noise here; what is bought leads to the next thing bought."""
    random = np.random.default_rng(5)
    events = []
    for user in range(200):
        for step in range(6):
            events.append((f"u{user}", f"buy{(user + step) % 12}", step * 3, "purchase"))
            events.extend(
                (f"u{user}", f"see{random.integers(40)}", step * 3 + 1 + n, "view") for n in range(2)
            )
    dataset = read(events)
    assert choose(dataset).type_weights in (EVEN, GRADED)
    given = {"": 0.0, "purchase": 1.0}
    assert choose(dataset, given).type_weights == given


def test_a_wide_catalogue_walks_the_graph(two_tastes: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease, "DENSE_ITEMS", 3)
    monkeypatch.setattr(ease, "_DENSE_CELLS", 10)
    model = RECIPE.fit(two_tastes, TrainingConfig(), silent)
    assert "graph, seen items left out" in model.notes["alone"]
    assert not any("ease" in name for name in model.notes["alone"])
    assert [item for item, _ in model.recommend(history=[("a3", "view", 1)], limit=1)] == ["a4"]


def test_the_final_model_takes_over_what_was_chosen(two_tastes: Dataset) -> None:
    judged = RECIPE.fit(two_tastes.where(two_tastes.users % 10 > 0), TrainingConfig(), silent)
    steps: list[str] = []
    final = RECIPE.fit(two_tastes, TrainingConfig(), lambda step, _: steps.append(step), judged)
    assert not any("held-out" in step for step in steps)
    assert final.notes == judged.notes
    assert [(part.name, part.weight, part.decay, part.unit) for part in final.components] == [
        (part.name, part.weight, part.decay, part.unit) for part in judged.components
    ]
    assert final.scoring.temperature == judged.scoring.temperature


def test_what_is_no_longer_offered_is_not_taken_over(two_tastes: Dataset) -> None:
    earlier = RECIPE.fit(two_tastes, TrainingConfig(), silent)
    methods = {method.name: method for method in candidates.user_candidates(two_tastes, 1.0)}

    assert model_selection.reused_config(earlier, methods)
    assert model_selection.reused_config(earlier, {}) is None


def test_an_update_evaluates_and_fits_with_the_earlier_choices(two_tastes: Dataset) -> None:
    earlier = RECIPE.fit(two_tastes, TrainingConfig(), silent)
    steps: list[str] = []

    model, metrics = train(RECIPE, two_tastes, TrainingConfig(), lambda step, _: steps.append(step), earlier)

    assert not any("held-out" in step for step in steps)
    assert model.notes == earlier.notes
    assert metrics["precision_at_5"] > 0


def test_the_temperature_makes_what_happens_likely(two_tastes: Dataset) -> None:
    sharp = RECIPE.fit(two_tastes, TrainingConfig(), silent)
    (_, top), (_, second), *_ = sharp.recommend(history=[("a3", "view", 1)], limit=3)
    assert top is not None
    assert second is not None
    assert top > 3 * second


@pytest.mark.parametrize(
    ("events", "asked"),
    [
        pytest.param(
            [(f"u{user}", f"i{item}", item, "view") for user in range(40) for item in (0, 1)],
            8,
            id="no repeats",
        ),
        pytest.param(
            [(f"u{user}", "i0", time, "view") for user in range(40) for time in (0, 1)], 4, id="repeats"
        ),
    ],
)
def test_twice_as_many_are_asked_where_nobody_comes_back(
    read: Read, monkeypatch: pytest.MonkeyPatch, events: list[tuple[str, str, int, str]], asked: int
) -> None:
    dataset = read(events)
    width = len(dataset.item_ids)
    monkeypatch.setattr(holdout_evaluator, "_LEAST_LIMIT", 1)
    monkeypatch.setattr(holdout_evaluator, "_CELLS", 4 * width)
    monkeypatch.setattr(holdout_evaluator, "_CELLS_WITHOUT_REPEATS", 8 * width)
    evaluator = HoldoutEvaluator.of(dataset)
    assert evaluator is not None
    assert len(evaluator.relevant) == asked
    monkeypatch.setattr(holdout_evaluator, "FEW_EVENTS", len(dataset) - 1)
    evaluator = HoldoutEvaluator.of(dataset)
    assert evaluator is not None
    assert len(evaluator.relevant) == 4
