"""Names of Amazon Personalize over one fit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.fitting import silent
from services.engine.training.recipes import RECIPES, Dataset, aliases
from shared.models import Model

ORIGINAL = "aws-user-personalization"
ALIASES = [recipe.name for recipe in aliases.RECIPES]


@pytest.fixture(scope="module")
def names() -> set[str]:
    return set(ALIASES)


def test_the_names_are_those_of_the_service(names: set[str]) -> None:
    assert names == {
        "aws-user-personalization",
        "aws-user-personalization-v2",
        "aws-personalized-ranking",
        "aws-personalized-ranking-v2",
        "aws-hrnn",
        "aws-hrnn-metadata",
        "aws-hrnn-coldstart",
    }
    assert {name for name in names if RECIPES[name].ranks} == {
        "aws-personalized-ranking",
        "aws-personalized-ranking-v2",
    }


@pytest.mark.parametrize("name", ALIASES)
def test_an_alias_makes_the_same_model_under_its_own_name(name: str, shop: Dataset) -> None:
    original: Model = RECIPES[ORIGINAL].fit(shop, TrainingConfig(), silent)
    model = RECIPES[name].fit(shop, TrainingConfig(), silent)
    assert model.recipe == name
    asked = [model.recommend(user_id=user) for user in ("ann", "nobody")]
    assert asked == [original.recommend(user_id=user) for user in ("ann", "nobody")]
    assert replace(model, recipe=ORIGINAL).scoring == original.scoring
