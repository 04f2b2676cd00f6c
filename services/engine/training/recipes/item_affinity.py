"""endcap-item-affinity: items similar to what a user bought, with decay, and those to buy again."""

from __future__ import annotations

from dataclasses import replace

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import (
    EVEN,
    configured_weights,
    counted_interactions,
    model_event_types,
    weights_of,
)
from services.engine.training.fitting import Progress
from services.engine.training.methods.item_cosine import item_cosine
from services.engine.training.methods.repeat_consumption import repeat_consumption
from services.engine.training.recipes import assembly
from services.engine.training.recipes.recipe import SHARE, Hyperparameters, Interval, Recipe
from shared.models import Model, Scoring, ScoringComponent

_KEEP = 200
"""Neighbours per item."""


def _fit(dataset: Dataset, config: TrainingConfig, progress: Progress, _: Model | None = None) -> Model:
    progress("count co-occurrences", 0.1)
    settings = config
    if configured_weights(config) is None and "purchase" in dataset.event_type_names:
        settings = config.model_copy(update={"event_type": "purchase"})
    counted = counted_interactions(dataset, settings)
    hyperparameters = Hyperparameters.of(config, RECIPE.hyperparameters)
    table = item_cosine(counted, shrinkage=hyperparameters.number("shrinkage"), keep=_KEEP)
    type_weights = configured_weights(settings) or dict(EVEN)
    names = model_event_types(counted, type_weights)
    scoring = Scoring(
        kind="user",
        scored=True,
        event_types=names,
        type_weights=tuple(weights_of(type_weights, names).tolist()),
        exclude_seen=hyperparameters.choice("exclude_seen", "true", "false") == "true",
    )
    decay = hyperparameters.number("decay")
    parts = [
        ScoringComponent("similarity", table, 0.5, decay, "day"),
        ScoringComponent("again", repeat_consumption(counted, type_weights), 0.5, decay, "day"),
    ]
    model = assembly.model(RECIPE.name, counted, scoring, parts=parts)
    progress("done", 1.0)
    return replace(model, **assembly.event_times(dataset))


RECIPE = Recipe(
    name="endcap-item-affinity",
    recipe_type="USER_PERSONALIZATION",
    description="Items like those a user bought, the newest purchases first, and those to buy again.",
    hyperparameters={"shrinkage": "10", "decay": "0.8", "exclude_seen": "false"},
    allowed={
        "shrinkage": Interval(0, 1_000_000),
        "decay": SHARE,
        "exclude_seen": ("true", "false"),
    },
    adds_up=True,
    list_recipe="item-affinity",
    fit=_fit,
)
