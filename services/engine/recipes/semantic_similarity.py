"""aws-semantic-similarity: items that read alike, whether or not anybody touched them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from services.engine.recipes import assembly
from services.engine.recipes.recipe import Progress, Recipe, excluded_columns
from services.engine.training.dataset import event_weights
from services.engine.training.dataset.columns import tally
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.methods import tfidf
from shared.errors import Permanent
from shared.models import Model, Scoring, ScoringComponent

_KEEP = 500


def _fit(dataset: Dataset, config: Mapping[str, Any], progress: Progress, _: Model | None = None) -> Model:
    progress("read what items say", 0.1)
    counted = event_weights.counted(dataset, config) if len(dataset) else dataset
    left_out = excluded_columns(config, "ITEMS", dataset.item_columns)
    if not tfidf.told(dataset, left_out):
        raise Permanent(
            "The Items dataset has no column of text: aws-semantic-similarity needs a name and a textual or "
            "categorical column."
        )
    progress("compare items", 0.3)
    table = tfidf.alike(dataset, _KEEP, left_out)
    progress("assemble", 0.9)
    popular = tally(counted.items, len(counted.item_ids)).astype(np.float32)
    fitted = assembly.model(
        RECIPE.name,
        counted,
        Scoring(kind="item", scored=False),
        fame=popular,
        parts=[ScoringComponent("words", table)],
        notes={"interactions": len(counted)},
    )
    progress("done", 1.0)
    return fitted


RECIPE = Recipe(
    name="aws-semantic-similarity",
    recipe_type="RELATED_ITEMS",
    description="Items whose names, descriptions and categories read like those of an item.",
    needs=("itemId",),
    needs_interactions=False,
    incremental=True,
    fit=_fit,
)
