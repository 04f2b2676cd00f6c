"""endcap-next-basket: what the next basket will hold."""

from __future__ import annotations

from services.engine.training.recipes.blended_ensemble import BlendedEnsemble
from services.engine.training.recipes.recipe import Recipe
from services.engine.training.selection import candidates
from services.engine.training.selection.holdout_evaluator import HoldoutEvaluator

_NAME = "endcap-next-basket"
_HYPERPARAMETERS = {"exclude_seen": "false"}

RECIPE = Recipe(
    name=_NAME,
    recipe_type="USER_PERSONALIZATION",
    description="What a customer will buy again, and what customers with the same habits buy.",
    hyperparameters=_HYPERPARAMETERS,
    allowed={"exclude_seen": ("auto", "true", "false")},
    list_recipe="user-personalization",
    fit=BlendedEnsemble(_NAME, _HYPERPARAMETERS, candidates.basket_candidates, HoldoutEvaluator.of),
)
