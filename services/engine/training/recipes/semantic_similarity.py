"""aws-semantic-similarity: items with similar texts, with or without interactions."""

from __future__ import annotations

import numpy as np

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset.columns import count_numbers
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import counted_interactions
from services.engine.training.fitting import Progress
from services.engine.training.methods.tfidf import has_text_columns, tfidf_neighbours
from services.engine.training.recipes import assembly
from services.engine.training.recipes.recipe import Recipe, excluded_columns
from shared.errors import Permanent
from shared.models import Model, Scoring, ScoringComponent

_KEEP = 500
"""Neighbours per item: the most that Personalize returns for one."""


def _fit(dataset: Dataset, config: TrainingConfig, progress: Progress, _: Model | None = None) -> Model:
    progress("read what items say", 0.1)
    counted = counted_interactions(dataset, config) if len(dataset) else dataset
    excluded = excluded_columns(config, "ITEMS", dataset.item_columns)
    if not has_text_columns(dataset, excluded):
        raise Permanent(
            "The Items dataset has no column of text: aws-semantic-similarity needs a name and a textual or "
            "categorical column."
        )
    progress("compare items", 0.3)
    table = tfidf_neighbours(dataset, _KEEP, excluded)
    progress("assemble", 0.9)
    popularity = count_numbers(counted.items, len(counted.item_ids)).astype(np.float32)
    model = assembly.model(
        RECIPE.name,
        counted,
        Scoring(kind="item", scored=False),
        popularity=popularity,
        parts=[ScoringComponent("words", table)],
        notes={"interactions": len(counted)},
    )
    progress("done", 1.0)
    return model


RECIPE = Recipe(
    name="aws-semantic-similarity",
    recipe_type="RELATED_ITEMS",
    description="Items whose names, descriptions and categories read like those of an item.",
    needs=("itemId",),
    needs_interactions=False,
    incremental=True,
    list_recipe="similar-items",
    fit=_fit,
)
