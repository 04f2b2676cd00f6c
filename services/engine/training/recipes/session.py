"""endcap-session: what comes next in an anonymous session."""

from __future__ import annotations

from services.engine.training.recipes.blended_ensemble import BlendedEnsemble
from services.engine.training.recipes.recipe import Recipe
from services.engine.training.selection import candidates
from services.engine.training.selection.holdout_evaluator import HoldoutEvaluator

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
    fit=BlendedEnsemble(_NAME, _HYPERPARAMETERS, candidates.session_candidates, HoldoutEvaluator.of_newest),
)
