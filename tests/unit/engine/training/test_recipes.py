"""What every recipe's model must do alike."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.fitting import silent
from services.engine.training.recipes import RECIPES, Dataset, Recipe, evaluate, train
from shared.errors import Permanent
from shared.events import canonical_type
from shared.models import Model, fingerprint, load, save
from tests.support.training import training_config

KEYS = {
    "coverage",
    "mean_reciprocal_rank_at_25",
    "normalized_discounted_cumulative_gain_at_5",
    "normalized_discounted_cumulative_gain_at_10",
    "normalized_discounted_cumulative_gain_at_25",
    "precision_at_5",
    "precision_at_10",
    "precision_at_25",
}

SEGMENT_KEYS = {"coverage", "hits_at_1_percent", "recall_at_1_percent"}


MORE_KEYS = {"aws-trending-now": {"trend_prediction_accuracy"}}


def keys(recipe: Recipe) -> set[str]:
    if recipe.recipe_type == "USER_SEGMENTATION":
        return SEGMENT_KEYS
    return KEYS | MORE_KEYS.get(recipe.name, set())


@pytest.fixture(scope="module", params=sorted(RECIPES))
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return RECIPES[request.param]


def suited(dataset: Dataset, recipe: Recipe) -> Dataset:
    """The data with what a recipe asks for, where it has none: events of a type, or texts."""
    if not recipe.needs_interactions and not dataset.item_columns:
        names = np.array([f"item {name}" for name in dataset.item_ids], object)
        dataset = replace(dataset, item_columns={"ITEM_NAME": names})
    wanted = canonical_type(recipe.event_type or "view")
    if not recipe.event_type or wanted in dataset.event_type_names:
        return dataset
    return replace(dataset, event_type_names=(wanted,) * len(dataset.event_type_names))


@pytest.fixture(scope="module")
def model(recipe: Recipe, shop: Dataset) -> Model:
    return recipe.fit(shop, TrainingConfig(), silent)


def query(model: Model, user: str = "ann", item: str = "tea") -> dict[str, str]:
    return {"item_id": item} if model.scoring.kind == "item" else {"user_id": user}


def answers(model: Model, **more: Any) -> list[list[tuple[str, float | None]]]:
    asked = model.items.strings if model.scoring.kind == "item" else ["ann", "bob", "zoe", "nobody"]
    name = "item_id" if model.scoring.kind == "item" else "user_id"
    return [model.recommend(**{name: text}, **more) for text in asked]


def test_a_saved_model_answers_as_before(model: Model, tmp_path: Path) -> None:
    save(model, tmp_path)
    loaded = load(tmp_path)
    assert answers(loaded, relevance=True) == answers(model, relevance=True)
    assert list(loaded.recommend_many(None, 5)) == list(model.recommend_many(None, 5))
    assert loaded.notes == json.loads(json.dumps(model.notes))


def test_what_the_datasets_say_travels_with_the_model(model: Model, tmp_path: Path) -> None:
    save(model, tmp_path)
    loaded = load(tmp_path)
    lamp, mug, tea = (loaded.items.numbers[name] for name in ("lamp", "mug", "tea"))
    described = {"ITEM_NAME": "Desk lamp", "CATEGORY": "light", "PRICE": 40.0}
    assert loaded.item_attributes.row(lamp) == described
    assert (loaded.first_event_times[tea], loaded.first_event_times[mug]) == (1_700_000_000, 0)
    assert loaded.newest_event_time == 1_700_000_000 + 9 * 86_400
    if model.scoring.kind != "item":
        ann, zoe = loaded.users.find("ann"), loaded.users.find("zoe")
        assert loaded.user_attributes.row(ann) == {"CITY": "Ulm"}
        assert loaded.user_attributes.row(zoe) == {}


def test_fitting_again_makes_the_same_bytes(recipe: Recipe, two_tastes: Dataset, tmp_path: Path) -> None:
    for name in ("once", "again"):
        steps: list[float] = []
        fitted = recipe.fit(
            suited(two_tastes, recipe), TrainingConfig(), lambda _, share, steps=steps: steps.append(share)
        )
        save(fitted, tmp_path / name)
        assert steps == sorted(steps)
        assert steps[-1] == 1.0
    assert fingerprint(tmp_path / "once") == fingerprint(tmp_path / "again")


def test_scores_never_rise_and_are_numbers(model: Model) -> None:
    for listed in answers(model, relevance=True):
        scores = [score for _, score in listed if score is not None]
        assert len(scores) == len(listed)
        assert scores == sorted(scores, reverse=True)
        assert all(math.isfinite(score) and 0 <= score <= 1 for score in scores)
        assert len({item for item, _ in listed}) == len(listed)


def test_the_wire_shows_scores_only_where_personalize_does(model: Model) -> None:
    shown = {score is not None for listed in answers(model) for _, score in listed}
    assert shown == {model.scoring.scored}


def test_an_item_is_never_recommended_beside_itself(model: Model) -> None:
    if model.scoring.kind == "item":
        for item in model.items.strings:
            assert item not in {other for other, _ in model.recommend(item_id=item, limit=100)}


def test_excluded_items_are_never_returned(model: Model) -> None:
    for listed in answers(model, exclude={"cup", "茶碗 ☕", "no such thing"}, limit=100):
        assert not {"cup", "茶碗 ☕"} & {item for item, _ in listed}


def test_the_unknown_gets_what_is_popular(model: Model) -> None:
    listed = model.recommend(**query(model, "nobody", "no such thing"), limit=3)
    fame = [model.popularity[model.items.numbers[item]] for item, _ in listed]
    assert fame == sorted(model.popularity.tolist(), reverse=True)[:3]


def test_limits(model: Model) -> None:
    assert model.recommend(**query(model), limit=0) == []
    assert len(model.recommend(**query(model), limit=2)) == 2
    everything = model.recommend(**query(model), limit=10_000)
    assert len(everything) >= len(model.items) - 3


def test_unicode_ids_come_back_whole(model: Model) -> None:
    assert "茶碗 ☕" in {item for item, _ in model.recommend(**query(model, "bob", "cup"), limit=50)}
    assert model.recommend(**query(model, "ünknown ☕", "☕"), limit=1)


def test_batch_and_live_agree(model: Model) -> None:
    name = "item_id" if model.scoring.kind == "item" else "user_id"
    asked = ["tea", "mug", "?"] if name == "item_id" else ["cid", "nobody", "ann", "zoe"]
    found = list(model.recommend_many(asked, 4))
    assert [text for text, _, _ in found] == asked
    for text, items, scores in found:
        live = model.recommend(**{name: text}, limit=4, relevance=True)
        assert list(zip(items, scores, strict=True)) == live


def test_batch_of_nobody_and_of_nothing(model: Model) -> None:
    assert list(model.recommend_many([], 5)) == []
    assert all(not items for _, items, _ in model.recommend_many(["ann"], 0))


def test_tiny_data_trains_and_answers(recipe: Recipe, tiny: Dataset) -> None:
    tiny = suited(tiny, recipe)
    model = recipe.fit(tiny, TrainingConfig(), silent)
    for text in [*model.items.strings, *model.users.strings, "nobody"]:
        listed = model.recommend(user_id=text, item_id=text, limit=5, relevance=True)
        assert all(score is not None and math.isfinite(score) for _, score in listed)
    metrics = evaluate(recipe, tiny, TrainingConfig())
    assert set(metrics) == keys(recipe)
    assert all(math.isfinite(value) for value in metrics.values())


def test_training_evaluates_and_fits_in_one_job(recipe: Recipe, two_tastes: Dataset) -> None:
    steps: list[float] = []
    two_tastes = suited(two_tastes, recipe)
    model, metrics = train(recipe, two_tastes, TrainingConfig(), lambda _, share: steps.append(share))
    assert set(metrics) == keys(recipe)
    assert all(0 <= value <= 1 and round(value, 4) == value for value in metrics.values())
    assert metrics == evaluate(recipe, two_tastes, TrainingConfig())
    assert len(model.items) == len(two_tastes.item_ids)
    assert steps == sorted(steps)
    assert steps[-1] == 1.0


def test_nothing_to_train_from_says_why(recipe: Recipe, shop: Dataset) -> None:
    if recipe.fixes_event_type:
        other = replace(shop, event_type_names=("other",) * len(shop.event_type_names))
        with pytest.raises(
            Permanent, match=rf"None of the .* interactions match.*{recipe.event_type}.*other"
        ):
            recipe.fit(other, TrainingConfig(), silent)
    else:
        with pytest.raises(Permanent, match=r"None of the .* interactions match.*nosuchtype.*purchase"):
            recipe.fit(shop, training_config(eventType="nosuchtype"), silent)
    if not recipe.needs_interactions:
        assert recipe.fit(shop.where(shop.users < 0), TrainingConfig(), silent).recommend(
            item_id="cup", limit=3
        )
        return
    with pytest.raises(Permanent, match="has no interactions"):
        recipe.fit(shop.where(shop.users < 0), TrainingConfig(), silent)


def test_every_recipe_is_described(recipe: Recipe) -> None:
    assert recipe.description.endswith(".")
    assert all(isinstance(value, str) for value in recipe.hyperparameters.values())
