"""endcap-graph: new items for a user in a wide catalogue, by a graph filter (GF-CF)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import scipy

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
from services.engine.training.methods.gf_cf import (
    GraphFilter,
    latent_factors,
    random_walk,
    two_step_walk,
)
from services.engine.training.methods.user_item_matrix import binary_matrix
from services.engine.training.recipes import assembly
from services.engine.training.recipes.recipe import Hyperparameters, Recipe
from services.engine.training.selection import graph_filter_search
from shared.models import LatentFactors, Model, Scoring, ScoringComponent

_METHODS = ("gf-cf", "tuned", "even")
_TEMPERATURE_ROWS = 50
"""Users whose scores give the unit of the softmax. Arbitrary."""


def _fit(
    dataset: Dataset, config: TrainingConfig, progress: Progress, warm_start: Model | None = None
) -> Model:
    progress("read interactions", 0.0)
    counted = counted_interactions(dataset, config)
    hyperparameters = Hyperparameters.of(config, RECIPE.hyperparameters)
    user_items = binary_matrix(counted)
    settings = GraphFilter(
        alpha=hyperparameters.number("alpha"), tastes=max(0, int(hyperparameters.number("tastes")))
    )
    notes: dict[str, Any] = {"method": hyperparameters.choice("method", *_METHODS)}
    if warm_start is not None:
        notes = dict(warm_start.notes)
        settings = GraphFilter(**notes["filter"])
    elif notes["method"] == "tuned":
        progress("choose the filter on held-out interactions", 0.1)
        settings, notes["tried"] = graph_filter_search.best_filter(user_items, settings)
    elif notes["method"] == "even":
        settings = random_walk(settings, graph_filter_search.doubled(settings.tastes, user_items.shape[1]))
    notes["filter"] = asdict(settings)
    progress("find the main tastes", 0.5)
    factors = latent_factors(user_items, settings.tastes, approximate=notes["method"] != "gf-cf")
    progress("assemble", 0.9)
    type_weights = configured_weights(config) or dict(EVEN)
    names = model_event_types(counted, type_weights)
    scoring = Scoring(
        kind="user",
        scored=True,
        scale="softmax",
        temperature=_temperature(user_items, settings, factors),
        exclude_seen=hyperparameters.choice("exclude_seen", "true", "false") == "true",
        whole=True,
        event_types=names,
        type_weights=tuple(weights_of(type_weights, names).tolist()),
    )
    parts = [
        ScoringComponent("walks", two_step_walk(user_items, settings)),
        ScoringComponent("tastes", factors, settings.alpha),
    ]
    model = assembly.model(RECIPE.name, counted, scoring, parts=parts, notes=notes)
    progress("done", 1.0)
    return model


def _temperature(user_items: scipy.sparse.csr_array, settings: GraphFilter, factors: LatentFactors) -> float:
    """Return the standard deviation of scores, which the softmax takes as its unit."""
    histories = user_items[np.flatnonzero(np.diff(user_items.indptr))[:_TEMPERATURE_ROWS]]
    lengths = np.asarray(histories.sum(axis=1)).ravel()
    scores = graph_filter_search.scores(histories, user_items, settings, factors) / lengths[:, None]
    return float(scores.std()) or 1.0


RECIPE = Recipe(
    name="endcap-graph",
    recipe_type="USER_PERSONALIZATION",
    description="Items that a user has not met yet in a wide catalogue, by a filter over users and items.",
    hyperparameters={"method": "gf-cf", "alpha": "0.3", "tastes": "256", "exclude_seen": "true"},
    list_recipe="user-personalization",
    fit=_fit,
)
