"""endcap-item-affinity: a user's items, by decayed similarity to what the user bought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.engine.recipes import assembly
from services.engine.recipes.ingredients import itself
from services.engine.recipes.recipe import SHARE, Hyperparameters, Interval, Progress, Recipe
from services.engine.training.dataset import event_weights
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.methods import item_cosine
from shared.models import Model, Scoring, ScoringComponent

_KEEP = 200


def _fit(dataset: Dataset, config: Mapping[str, Any], progress: Progress, _: Model | None = None) -> Model:
    progress("count co-occurrences", 0.1)
    bought = dict(config)
    if event_weights.configured(config) is None and "purchase" in dataset.event_type_names:
        bought["eventType"] = "purchase"
    counted = event_weights.counted(dataset, bought)
    given = Hyperparameters.of(config, RECIPE.hyperparameters)
    near = item_cosine.similar(counted, shrinkage=given.number("shrinkage"), keep=_KEEP)
    type_weights = event_weights.configured(bought) or dict(event_weights.EVEN)
    names = event_weights.known_types(counted, type_weights)
    scoring = Scoring(
        kind="user",
        scored=True,
        event_types=names,
        type_weights=tuple(event_weights.numbered(type_weights, names).tolist()),
        exclude_seen=given.choice("exclude_seen", "true", "false") == "true",
    )
    parts = [
        ScoringComponent("similarity", near, weight=0.5, decay=given.number("decay"), unit="day"),
        ScoringComponent("again", itself(counted, type_weights), 0.5, given.number("decay"), "day"),
    ]
    fitted = replace(assembly.model(RECIPE.name, counted, scoring, parts=parts), **assembly.ages(dataset))
    progress("done", 1.0)
    return fitted


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
    fit=_fit,
)
