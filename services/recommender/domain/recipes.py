"""The recipes whose lists a generation holds, and what each recommends for."""

from __future__ import annotations

USER = "user-personalization"
SIMILAR = "similar-items"
AFFINITY = "item-affinity"
POPULARITY = "popularity"

BY_USER = (USER, AFFINITY, POPULARITY)
"""Recipes that recommend for a user."""
BY_ITEM = (SIMILAR, POPULARITY)
"""Recipes that recommend for an item."""

GLOBAL_LIST_ID = "all"
"""The id of the popularity list over all users."""

RANKING_ONLY = frozenset({"aws-personalized-ranking", "aws-personalized-ranking-v2"})
"""Engine recipes whose campaigns only rank the items of a request."""

NEED_USER = frozenset({"aws-ecomm-customers-who-viewed-x-also-viewed"})
"""Engine recipes that recommend for an item, and need the user too."""

_OF_ENGINE = {
    "aws-user-personalization": USER,
    "aws-user-personalization-v2": USER,
    "aws-personalized-ranking": USER,
    "aws-personalized-ranking-v2": USER,
    "aws-hrnn": USER,
    "aws-hrnn-metadata": USER,
    "aws-hrnn-coldstart": USER,
    "aws-similar-items": SIMILAR,
    "aws-sims": SIMILAR,
    "aws-semantic-similarity": SIMILAR,
    "aws-popularity-count": POPULARITY,
    "aws-ecomm-recommended-for-you": USER,
    "aws-ecomm-frequently-bought-together": SIMILAR,
    "aws-ecomm-customers-who-viewed-x-also-viewed": SIMILAR,
    "endcap-item-affinity": AFFINITY,
    "endcap-next-basket": USER,
    "endcap-graph": USER,
}


def list_recipe(engine_recipe: str) -> str:
    """Return the recipe whose lists replace a campaign's model; `engine_recipe` may be an ARN."""
    return _OF_ENGINE.get(engine_recipe.rpartition("/")[2], POPULARITY)


def location_list_ids(city: str | None, province: str | None, country: str | None) -> list[str]:
    """Return the ids of the popularity lists of a location, the nearest area first."""
    areas = (("city", city), ("province", province), ("country", country))
    return [f"{kind}:{name}" for kind, name in areas if name]
