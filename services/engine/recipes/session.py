"""endcap-session: what comes next in an anonymous session."""

from __future__ import annotations

from services.engine.recipes import ingredients
from services.engine.recipes.blended_ensemble import BlendedEnsemble
from services.engine.recipes.holdout_evaluator import HoldoutEvaluator
from services.engine.recipes.recipe import Recipe

_NAME = "endcap-session"
_HYPERPARAMETERS = {"exclude_seen": "auto"}

RECIPE = Recipe(
    name=_NAME,
    recipe_type="USER_PERSONALIZATION",
    description="What comes next in a session (a user of the data), from recent sessions like it; also of "
    "sessions to which no user has logged in.",
    hyperparameters=_HYPERPARAMETERS,
    allowed={"exclude_seen": ("auto", "true", "false")},
    trains_sessions=True,
    fit=BlendedEnsemble(_NAME, _HYPERPARAMETERS, ingredients.session_candidates, HoldoutEvaluator.of_newest),
)
