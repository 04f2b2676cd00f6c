"""endcap-next-basket: what the next basket will hold."""

from __future__ import annotations

from services.engine.recipes import ingredients
from services.engine.recipes.blended_ensemble import BlendedEnsemble
from services.engine.recipes.holdout_evaluator import HoldoutEvaluator
from services.engine.recipes.recipe import Recipe

_NAME = "endcap-next-basket"
_HYPERPARAMETERS = {"exclude_seen": "false"}

RECIPE = Recipe(
    name=_NAME,
    recipe_type="USER_PERSONALIZATION",
    description="What a customer will buy again, and what customers with the same habits buy.",
    hyperparameters=_HYPERPARAMETERS,
    allowed={"exclude_seen": ("auto", "true", "false")},
    list_recipe="user-personalization",
    fit=BlendedEnsemble(_NAME, _HYPERPARAMETERS, ingredients.basket_candidates, HoldoutEvaluator.of),
)
