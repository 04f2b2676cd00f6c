"""The recipes whose lists a generation holds, and what each recommends for."""

from __future__ import annotations

USER = "user-personalization"
SIMILAR = "similar-items"
AFFINITY = "item-affinity"
POPULARITY = "popularity"
TOGETHER = "bought-together"

BY_USER = (USER, AFFINITY, POPULARITY)
"""Recipes that recommend for a user."""
BY_ITEM = (SIMILAR, TOGETHER, POPULARITY)
"""Recipes that recommend for an item."""

GLOBAL_LIST_ID = "all"
"""The id of the popularity list over all users."""


def split_generation(recipe: str) -> tuple[str, int | None]:
    """Return the recipe and the generation of `recipe@17`; None as the generation for the active one."""
    name, mark, generation = recipe.partition("@")
    return name, int(generation) if mark else None


def category_list_id(category: str) -> str:
    """Return the id of the popularity list of a category."""
    return f"category:{category}"


def location_list_ids(city: str | None, province: str | None, country: str | None) -> list[str]:
    """Return the ids of the popularity lists of a location, the nearest area first."""
    areas = (("city", city), ("province", province), ("country", country))
    return [f"{kind}:{name}" for kind, name in areas if name]
