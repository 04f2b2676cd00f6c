"""endcap-graph: what a user has not met yet in a wide catalogue, by a graph filter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy import sparse

from services.engine.recipes import assembly, tuning
from services.engine.recipes.recipe import Hyperparameters, Progress, Recipe
from services.engine.training.dataset import event_weights
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.methods import gf_cf, item_cosine
from services.engine.training.methods.gf_cf import Filter, tastes, walks
from shared.models import LatentFactors, Model, Scoring, ScoringComponent

_METHODS = ("gf-cf", "tuned", "even")
_WARMTH_ROWS = 50


def _fit(
    dataset: Dataset, config: Mapping[str, Any], progress: Progress, warm_start: Model | None = None
) -> Model:
    progress("read interactions", 0.0)
    counted = event_weights.counted(dataset, config)
    given = Hyperparameters.of(config, RECIPE.hyperparameters)
    seen = item_cosine.users_by_items(counted)
    settings = Filter(alpha=given.number("alpha"), tastes=max(0, int(given.number("tastes"))))
    notes: dict[str, Any] = {"method": given.choice("method", *_METHODS)}
    if warm_start is not None:
        notes = dict(warm_start.notes)
        settings = Filter(**notes["filter"])
    elif notes["method"] == "tuned":
        progress("choose the filter on held-out interactions", 0.1)
        settings, notes["tried"] = tuning.chosen(seen, settings)
    elif notes["method"] == "even":
        settings = gf_cf.even(settings, tuning.more(settings.tastes, seen.shape[1]))
    notes["filter"] = asdict(settings)
    progress("find the main tastes", 0.5)
    low = tastes(seen, settings.tastes, roughly=notes["method"] != "gf-cf")
    progress("assemble", 0.9)
    type_weights = event_weights.configured(config) or dict(event_weights.EVEN)
    names = event_weights.known_types(counted, type_weights)
    scoring = Scoring(
        kind="user",
        scored=True,
        scale="softmax",
        temperature=_spread(seen, settings, low),
        exclude_seen=given.choice("exclude_seen", "true", "false") == "true",
        whole=True,
        event_types=names,
        type_weights=tuple(event_weights.numbered(type_weights, names).tolist()),
    )
    parts = [
        ScoringComponent("walks", walks(seen, settings)),
        ScoringComponent("tastes", low, settings.alpha),
    ]
    fitted = assembly.model(RECIPE.name, counted, scoring, parts=parts, notes=notes)
    progress("done", 1.0)
    return fitted


def _spread(seen: sparse.csr_array, settings: Filter, low: LatentFactors) -> float:
    """The scale of the scores, which a softmax then takes as its unit."""
    some = seen[np.flatnonzero(np.diff(seen.indptr))[:_WARMTH_ROWS]]
    totals = np.asarray(some.sum(axis=1)).ravel()
    scores = tuning.scores(some, seen, settings, low) / totals[:, None]
    return float(scores.std()) or 1.0


RECIPE = Recipe(
    name="endcap-graph",
    recipe_type="USER_PERSONALIZATION",
    description="Items that a user has not met yet in a wide catalogue, by a filter over users and items.",
    hyperparameters={"method": "gf-cf", "alpha": "0.3", "tastes": "256", "exclude_seen": "true"},
    fit=_fit,
)
