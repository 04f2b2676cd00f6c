"""aws-user-personalization: what a user turns to next."""

from __future__ import annotations

from services.engine.recipes import ingredients
from services.engine.recipes.blended_ensemble import BlendedEnsemble
from services.engine.recipes.holdout_evaluator import HoldoutEvaluator
from services.engine.recipes.recipe import Recipe

_NAME = "aws-user-personalization"
_HYPERPARAMETERS = {"exclude_seen": "auto"}

RECIPE = Recipe(
    name=_NAME,
    recipe_type="USER_PERSONALIZATION",
    description="Items that a user will likely turn to next, from the order of everybody's events.",
    hyperparameters=_HYPERPARAMETERS,
    allowed={"exclude_seen": ("auto", "true", "false")},
    list_recipe="user-personalization",
    adds_up=True,
    fit=BlendedEnsemble(_NAME, _HYPERPARAMETERS, ingredients.user_candidates, HoldoutEvaluator.of),
)
