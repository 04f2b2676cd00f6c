"""Recipes of Amazon Personalize that have the fit of aws-user-personalization.

Names, types, ARNs and hyperparameters are those of the developer guide:
https://docs.aws.amazon.com/personalize/latest/dg/working-with-predefined-recipes.html
"""

from __future__ import annotations

from dataclasses import replace

from services.engine.training.recipes import objective, user_personalization
from services.engine.training.recipes.recipe import SHARE, Allowed, Interval, Recipe

RECIPE = replace(
    user_personalization.RECIPE, fit=objective.with_objective(user_personalization.RECIPE.fit), objective=True
)
_BOOLEAN = ("true", "false")
_ANY = Interval(0, 1_000_000)
_RECURRENT: dict[str, Allowed] = {
    "hidden_dimension": Interval(32, 256, whole=True),
    "bptt": Interval(2, 32, whole=True),
    "recency_mask": _BOOLEAN,
    "min_user_history_length_percentile": SHARE,
    "max_user_history_length_percentile": SHARE,
}
_EXPLORING = {**_RECURRENT, "exploration_weight": SHARE, "exploration_item_age_cut_off": _ANY}
_COLD = {
    **_RECURRENT,
    "cold_start_max_interactions": _ANY,
    "cold_start_max_duration": _ANY,
    "cold_start_relative_from": ("currenttime", "latesttimestamp", "latestitem"),
}
_TRANSFORMER: dict[str, Allowed] = {"apply_recency_bias": _BOOLEAN}
_FILTERING = "JSON-percentile-filtering"


def _ranking(name: str, description: str, **changes: object) -> Recipe:
    needs = ("userId", "inputList")
    changes |= {"recipe_type": "PERSONALIZED_RANKING", "ranks": True, "needs": needs}
    return RECIPE.variant(name, description, **changes)


def _legacy(name: str, **changes: object) -> Recipe:
    return RECIPE.variant(name, "A legacy name of aws-user-personalization.", **changes)


RECIPES = (
    RECIPE.variant(RECIPE.name, RECIPE.description, without_effect=_EXPLORING, explores=True, fit=RECIPE.fit),
    RECIPE.variant(
        "aws-user-personalization-v2",
        "The successor of aws-user-personalization: items that a user will likely turn to next.",
        without_effect=_TRANSFORMER,
        metadata_by_default=True,
    ),
    _ranking(
        "aws-personalized-ranking",
        "Puts given items into the order of a user's likely interest.",
        without_effect=_RECURRENT,
        feature_transformation=_FILTERING,
    ),
    _ranking(
        "aws-personalized-ranking-v2",
        "The successor of aws-personalized-ranking: given items in the order of a user's interest.",
        without_effect=_TRANSFORMER,
        metadata_by_default=True,
    ),
    _legacy("aws-hrnn", without_effect=_RECURRENT, feature_transformation=_FILTERING),
    _legacy("aws-hrnn-metadata", without_effect=_RECURRENT, feature_transformation="featurize_metadata"),
    _legacy("aws-hrnn-coldstart", without_effect=_COLD, feature_transformation="featurize_coldstart"),
)
