"""Traits of recipes, for models and events that state none, or not all."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from shared.events import RecipeTraits

_DEFAULT = RecipeTraits(metadata_by_default=False)
_USER = _DEFAULT.model_copy(update={"list_recipe": "user-personalization"})
_EXPLORING = _USER.model_copy(update={"explores": True})
_RANKING = _USER.model_copy(update={"ranks_only": True})
_ITEM = _DEFAULT.model_copy(update={"list_recipe": "similar-items"})
_METADATA = {"metadata_by_default": True}

EARLIER_TRAITS: Mapping[str, RecipeTraits] = MappingProxyType(
    {
        "aws-user-personalization": _EXPLORING,
        "aws-user-personalization-v2": _USER.model_copy(update=_METADATA),
        "aws-personalized-ranking": _RANKING,
        "aws-personalized-ranking-v2": _RANKING.model_copy(update=_METADATA),
        "aws-hrnn": _USER,
        "aws-hrnn-metadata": _USER,
        "aws-hrnn-coldstart": _USER,
        "aws-similar-items": _ITEM,
        "aws-sims": _ITEM,
        "aws-semantic-similarity": _ITEM,
        "aws-ecomm-recommended-for-you": _EXPLORING,
        "aws-ecomm-frequently-bought-together": _ITEM,
        "aws-ecomm-customers-who-viewed-x-also-viewed": _ITEM.model_copy(update={"needs_user": True}),
        "endcap-item-affinity": _DEFAULT.model_copy(update={"list_recipe": "item-affinity"}),
        "endcap-next-basket": _USER,
        "endcap-graph": _USER,
    }
)
"""The traits of recipes of release 0.1.0; other recipes have the defaults. Do not add new recipes: their
traits come with their models and events."""


def earlier_traits(recipe: str) -> RecipeTraits:
    """Return the traits of a recipe, by its name or ARN, whose model and event have none."""
    return EARLIER_TRAITS.get(recipe.rpartition("/")[2], _DEFAULT)


def complete_traits(traits: RecipeTraits | None, recipe: str) -> RecipeTraits:
    """Return the traits of a model or event; a trait that they do not state is that of an earlier release."""
    earlier = earlier_traits(recipe)
    if traits is None:
        return earlier
    if traits.metadata_by_default is not None:
        return traits
    return traits.model_copy(update={"metadata_by_default": earlier.metadata_by_default})
