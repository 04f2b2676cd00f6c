"""aws-similar-items: items with the same users, blended with items with similar texts."""

from __future__ import annotations

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import counted_interactions
from services.engine.training.fitting import Progress
from services.engine.training.methods.item_cosine import item_cosine
from services.engine.training.methods.tfidf import vectors
from services.engine.training.recipes import assembly
from services.engine.training.recipes.recipe import SHARE, Hyperparameters, Interval, Recipe, excluded_columns
from shared.models import Model, Scoring, ScoringComponent

_KEEP = 500
"""Neighbours per item: the most that Personalize returns for one."""
_HIDDEN_DIMENSIONS = (
    "item_id_hidden_dim",
    "item_id_hidden_dimension",
    "item_metadata_hidden_dim",
    "item_metadata_hidden_dimension",
)
"""Hyperparameters without effect; the developer guide and the console spell them differently."""


def _fit(dataset: Dataset, config: TrainingConfig, progress: Progress, _: Model | None = None) -> Model:
    progress("count co-occurrences", 0.1)
    counted = counted_interactions(dataset, config)
    hyperparameters = Hyperparameters.of(config, RECIPE.hyperparameters)
    table = item_cosine(
        counted,
        shrinkage=hyperparameters.number("shrinkage"),
        keep=_KEEP,
        words=vectors(counted, excluded_columns(config, "ITEMS", counted.item_columns)),
        words_weight=hyperparameters.number("content_weight"),
    )
    progress("assemble", 0.9)
    model = assembly.model(
        RECIPE.name,
        counted,
        Scoring(kind="item", scored=False),
        parts=[ScoringComponent("similarity", table)],
        notes={"interactions": len(counted)},
    )
    progress("done", 1.0)
    return model


RECIPE = Recipe(
    name="aws-similar-items",
    recipe_type="RELATED_ITEMS",
    description="Items that the same users interact with, and for new items those that read alike.",
    hyperparameters={"shrinkage": "10", "content_weight": "0.5"},
    allowed={"shrinkage": Interval(0, 1_000_000), "content_weight": Interval(0, 1_000)},
    without_effect={
        "popularity_discount_factor": SHARE,
        **dict.fromkeys(_HIDDEN_DIMENSIONS, Interval(30, 200, whole=True)),
    },
    needs=("itemId",),
    adds_up=True,
    list_recipe="similar-items",
    fit=_fit,
)
