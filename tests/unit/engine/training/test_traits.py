"""Every recipe declares its traits, and its trained models carry them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.recipes import RECIPES, Dataset, train
from shared.models import load, save
from shared.models.traits import EARLIER_TRAITS, earlier_traits


@pytest.mark.parametrize("name", RECIPES)
def test_models_from_before_traits_have_the_same_ones(name: str) -> None:
    assert earlier_traits(name) == RECIPES[name].traits


def test_only_recipes_have_earlier_traits() -> None:
    assert set(EARLIER_TRAITS) <= set(RECIPES)


def test_campaigns_of_the_version_2_recipes_have_metadata_by_default() -> None:
    names = {name for name, recipe in RECIPES.items() if recipe.traits.metadata_by_default}

    assert names == {"aws-user-personalization-v2", "aws-personalized-ranking-v2"}


@pytest.mark.parametrize("name", ["aws-personalized-ranking-v2", "aws-similar-items"])
def test_a_trained_model_keeps_its_traits_in_its_folder(name: str, shop: Dataset, tmp_path: Path) -> None:
    model, _ = train(RECIPES[name], shop, TrainingConfig())

    save(model, tmp_path)

    assert load(tmp_path).traits == RECIPES[name].traits


def test_a_folder_without_traits_is_loaded(shop: Dataset, tmp_path: Path) -> None:
    model, _ = train(RECIPES["aws-similar-items"], shop, TrainingConfig())
    save(model, tmp_path)
    meta = json.loads((tmp_path / "meta.json").read_text())
    del meta["traits"]
    (tmp_path / "meta.json").write_text(json.dumps(meta))

    assert load(tmp_path).traits is None
