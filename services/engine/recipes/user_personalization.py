"""aws-user-personalization: what a user turns to next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.engine.recipes import assembly, selection, weights
from services.engine.recipes.dataset import Dataset
from services.engine.recipes.ingredients import ingredients
from services.engine.recipes.recipe import Hyperparameters, Progress, Recipe
from shared.models import Model, Part, Scoring


def _fit(dataset: Dataset, config: Mapping[str, Any], progress: Progress, like: Model | None = None) -> Model:
    progress("read interactions", 0.0)
    counted = weights.counted(dataset, config)
    given = Hyperparameters.of(config, RECIPE.hyperparameters)
    setting = given.choice("exclude_seen", "auto", "true", "false")
    choice = selection.taken_over(like) if like else _chosen(counted, config, setting, progress)
    offered = {ingredient.name: ingredient for ingredient in ingredients(counted)}
    parts = []
    for number, part in enumerate(choice.parts):
        progress(f"fit {part.name} on all users", 0.6 + 0.3 * number / len(choice.parts))
        table = offered[part.name].variants[part.variant](counted, choice.type_weights).evened()
        parts.append(Part(part.name, table, part.weight, part.decay, part.unit))
    progress("assemble", 0.9)
    names = weights.known_types(counted, choice.type_weights)
    scoring = Scoring(
        kind="user",
        scored=True,
        scale="softmax",
        temperature=choice.temperature,
        exclude_seen=choice.exclude_seen,
        event_types=names,
        type_weights=tuple(weights.numbered(choice.type_weights, names).tolist()),
    )
    fitted = assembly.model(RECIPE.name, counted, scoring, parts=parts, notes=choice.notes)
    progress("done", 1.0)
    return fitted


def _chosen(
    counted: Dataset, config: Mapping[str, Any], setting: str, progress: Progress
) -> selection.Choice:
    return selection.choose(
        counted,
        weights.configured(config),
        lambda step, share: progress(step, 0.6 * share),
        exclude_seen=None if setting == "auto" else setting == "true",
    )


RECIPE = Recipe(
    name="aws-user-personalization",
    recipe_type="USER_PERSONALIZATION",
    description="Items that a user will likely turn to next, from the order of everybody's events.",
    hyperparameters={"exclude_seen": "auto"},
    fit=_fit,
)
