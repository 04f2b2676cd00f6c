"""Holding users out of the training data, and choosing what finds most for them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from services.engine.recipes import RECIPES, Dataset, ease, ingredients, judging, selection, train
from services.engine.recipes.judging import Judge, sampled
from services.engine.recipes.recipe import silent
from services.engine.recipes.weights import EVEN, GRADED, TypeWeights

Read = Callable[[list[tuple[str, str, int, str]]], Dataset]

RECIPE = RECIPES["aws-user-personalization"]


@pytest.fixture
def judge(two_tastes: Dataset) -> Judge:
    found = Judge.of(two_tastes)
    assert found is not None
    return found


def choose(dataset: Dataset, configured: TypeWeights | None = None) -> selection.Choice:
    return selection.choose(
        dataset, Judge.of(dataset), ingredients.of_users(dataset), configured, silent, exclude_seen=None
    )


def test_what_people_come_back_to_is_not_left_out(read: Read) -> None:
    """Forty people each buy their own two things over and over."""
    events = [
        (f"u{user}", f"i{(user * 2 + day) % 2 + user % 20 * 2}", day, "purchase")
        for user in range(40)
        for day in range(8)
    ]
    model = RECIPE.fit(read(events), {}, silent)
    assert model.notes["exclude_seen"] is False
    assert model.notes["repeats_among_sought"] == 1.0
    assert {item for item, _ in model.recommend(user_id="u3", limit=2)} == {"i6", "i7"}


def test_half_of_the_held_out_are_strangers_to_the_training_data(judge: Judge) -> None:
    for fold in judge.folds:
        known = np.isin(fold.held.users, fold.train.users)
        assert known.sum() == len(known) // 2
        assert not set(zip(fold.train.users, fold.train.times, strict=True)) & set(
            zip(fold.held.sought.users, fold.held.sought.times, strict=True)
        )


def test_the_gain_is_half_ndcg_and_half_precision_of_what_could_be_found(judge: Judge) -> None:
    scores = np.random.default_rng(0).random(judge.sought.shape).astype(np.float32)
    expected = []
    hits = most = 0
    for row, sought, barred in zip(scores, judge.sought, judge.barred, strict=True):
        order = [item for item in np.argsort(-row) if not barred[item]][:25]
        won = sum(1 / math.log2(rank + 2) for rank, item in enumerate(order) if sought[item])
        ideal = sum(1 / math.log2(rank + 2) for rank in range(min(25, sought.sum())))
        expected.append(won / ideal)
        hits += sum(sought[item] for item in order)
        most += min(25, sought.sum())
    assert judge.gain(scores, exclude_seen=True) == pytest.approx((np.mean(expected) + hits / most) / 2)


def test_a_perfect_order_gains_everything(judge: Judge) -> None:
    assert judge.gain(judge.sought.astype(np.float32), exclude_seen=False) == pytest.approx(1)


def test_too_few_users_are_not_held_out(two_tastes: Dataset) -> None:
    few = two_tastes.where(two_tastes.users < 19)
    assert Judge.of(few) is None
    choice = choose(few)
    assert choice.notes["held_out_users"] == 0
    assert not choice.exclude_seen
    assert {part.weight for part in choice.parts} == {1.0}


def test_large_data_is_judged_on_a_draw_of_its_users(
    two_tastes: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "_EVENTS", 200)
    part = sampled(two_tastes)
    assert 100 < len(part) < 300
    kept = np.unique(part.users)
    assert len(part) == np.isin(two_tastes.users, kept).sum()
    judge = Judge.of(two_tastes)
    assert judge is not None
    assert judge.share == pytest.approx(len(kept) / len(two_tastes.user_ids))


def test_a_longer_memory_of_a_part_is_offered_beside_it(judge: Judge, two_tastes: Dataset) -> None:
    choice = selection.choose(
        two_tastes, judge, ingredients.of_users(two_tastes), None, silent, exclude_seen=True
    )
    assert "sequence with a longer memory, seen items left out" in choice.notes["alone"]
    assert selection._longer(0.4) == 0.8
    assert selection._longer(0.98) == selection._longer(1.0) == 1.0


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
    model = RECIPE.fit(two_tastes, {}, silent)
    assert "graph, seen items left out" in model.notes["alone"]
    assert not any("ease" in name for name in model.notes["alone"])
    assert [item for item, _ in model.recommend(history=[("a3", "view", 1)], limit=1)] == ["a4"]


def test_the_final_model_takes_over_what_was_chosen(two_tastes: Dataset) -> None:
    judged = RECIPE.fit(two_tastes.where(two_tastes.users % 10 > 0), {}, silent)
    steps: list[str] = []
    final = RECIPE.fit(two_tastes, {}, lambda step, _: steps.append(step), judged)
    assert not any("held-out" in step for step in steps)
    assert final.notes == judged.notes
    assert [(part.name, part.weight, part.decay, part.unit) for part in final.parts] == [
        (part.name, part.weight, part.decay, part.unit) for part in judged.parts
    ]
    assert final.scoring.temperature == judged.scoring.temperature


def test_what_is_no_longer_offered_is_not_taken_over(two_tastes: Dataset) -> None:
    earlier = RECIPE.fit(two_tastes, {}, silent)
    offered = {ingredient.name: ingredient for ingredient in ingredients.of_users(two_tastes, 1.0)}

    assert selection.taken_over(earlier, offered)
    assert selection.taken_over(earlier, {}) is None


def test_an_update_judges_and_fits_with_the_earlier_choices(two_tastes: Dataset) -> None:
    earlier = RECIPE.fit(two_tastes, {}, silent)
    steps: list[str] = []

    model, metrics = train(RECIPE, two_tastes, {}, lambda step, _: steps.append(step), earlier)

    assert not any("held-out" in step for step in steps)
    assert model.notes == earlier.notes
    assert metrics["precision_at_5"] > 0


def test_the_temperature_makes_what_happens_likely(two_tastes: Dataset) -> None:
    sharp = RECIPE.fit(two_tastes, {}, silent)
    (_, top), (_, second), *_ = sharp.recommend(history=[("a3", "view", 1)], limit=3)
    assert top is not None
    assert second is not None
    assert top > 3 * second
