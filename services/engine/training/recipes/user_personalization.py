"""aws-user-personalization: what a user turns to next."""

from __future__ import annotations

from services.engine.training.recipes.blended_ensemble import BlendedEnsemble
from services.engine.training.recipes.recipe import Recipe
from services.engine.training.selection import candidates
from services.engine.training.selection.holdout_evaluator import HoldoutEvaluator

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
    fit=BlendedEnsemble(_NAME, _HYPERPARAMETERS, candidates.user_candidates, HoldoutEvaluator.of),
)
