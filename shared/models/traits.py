"""Traits of recipes, for models and events from before traits were part of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from shared.events import RecipeTraits

_USER = RecipeTraits(list_recipe="user-personalization")
_EXPLORING = RecipeTraits(explores=True, list_recipe="user-personalization")
_RANKING = RecipeTraits(ranks_only=True, list_recipe="user-personalization")
_ITEM = RecipeTraits(list_recipe="similar-items")

EARLIER_TRAITS: Mapping[str, RecipeTraits] = MappingProxyType(
    {
        "aws-user-personalization": _EXPLORING,
        "aws-user-personalization-v2": _USER,
        "aws-personalized-ranking": _RANKING,
        "aws-personalized-ranking-v2": _RANKING,
        "aws-hrnn": _USER,
        "aws-hrnn-metadata": _USER,
        "aws-hrnn-coldstart": _USER,
        "aws-similar-items": _ITEM,
        "aws-sims": _ITEM,
        "aws-semantic-similarity": _ITEM,
        "aws-ecomm-recommended-for-you": _EXPLORING,
        "aws-ecomm-frequently-bought-together": _ITEM,
        "aws-ecomm-customers-who-viewed-x-also-viewed": RecipeTraits(
            needs_user=True, list_recipe="similar-items"
        ),
        "endcap-item-affinity": RecipeTraits(list_recipe="item-affinity"),
        "endcap-next-basket": _USER,
        "endcap-graph": _USER,
    }
)
"""The traits of recipes of release 0.1.0; other recipes have the defaults. Do not add new recipes: their
traits come with their models and events."""


def earlier_traits(recipe: str) -> RecipeTraits:
    """Return the traits of a recipe, by its name or ARN, whose model and event have none."""
    return EARLIER_TRAITS.get(recipe.rpartition("/")[2], RecipeTraits())
