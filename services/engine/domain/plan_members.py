"""The comparison of declared members with present ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.aws import Arn

RECIPE_PREFIX = str(Arn("recipe", ""))


def without_none(**members: Any) -> dict[str, Any]:
    """Return the members that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def describe_changes(members: Mapping[str, Any]) -> str:
    """Return changed members as text, such as `minProvisionedTPS → 2`."""
    return ", ".join(f"{member} → {value}" for member, value in members.items())


def recipe_arn(recipe: str) -> str:
    """Return the ARN of a recipe, which a declaration may give by its name alone."""
    return recipe if recipe.startswith("arn:") else RECIPE_PREFIX + recipe


def contains(present: Any, declared: Any) -> bool:
    """Return whether a present value has all declared members; it may have others."""
    if isinstance(declared, Mapping):
        members = present if isinstance(present, Mapping) else {}
        return all(contains(members.get(name), value) for name, value in declared.items())
    return bool(declared == present)
