"""aws-sims: items in the histories of the same users, with the hyperparameters of the service.

https://docs.aws.amazon.com/personalize/latest/dg/native-recipe-sims.html
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset.columns import count_numbers, take
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import counted_interactions
from services.engine.training.fitting import Progress
from services.engine.training.methods.asymmetric_cosine import asymmetric_cosine
from services.engine.training.methods.user_item_matrix import binary_matrix
from services.engine.training.recipes import assembly
from services.engine.training.recipes.recipe import SHARE, Hyperparameters, Interval, Recipe
from shared.models import Model, Scoring, ScoringComponent

_KEEP = 500
"""Neighbours per item: the most that Personalize returns for one."""


def _fit(dataset: Dataset, config: TrainingConfig, progress: Progress, _: Model | None = None) -> Model:
    progress("count co-interactions", 0.1)
    counted = counted_interactions(dataset, config)
    hyperparameters = Hyperparameters.of(config, RECIPE.hyperparameters)
    table = asymmetric_cosine(
        binary_matrix(within_percentiles(counted, hyperparameters)),
        discount=hyperparameters.number("popularity_discount_factor"),
        min_common=hyperparameters.number("min_cointeraction_count"),
        keep=_KEEP,
    )
    progress("assemble", 0.9)
    model = assembly.model(
        RECIPE.name,
        counted,
        Scoring(kind="item", scored=False),
        parts=[ScoringComponent("together", table)],
        notes={"interactions": len(counted)},
    )
    progress("done", 1.0)
    return model


def within_percentiles(dataset: Dataset, hyperparameters: Hyperparameters) -> Dataset:
    """Leave out users and items whose number of interactions is outside the configured percentiles."""
    users = _between(
        count_numbers(dataset.users, len(dataset.user_ids)),
        hyperparameters.number("min_user_history_length_percentile"),
        hyperparameters.number("max_user_history_length_percentile"),
    )
    items = _between(
        count_numbers(dataset.items, len(dataset.item_ids)),
        hyperparameters.number("min_item_interaction_count_percentile"),
        hyperparameters.number("max_item_interaction_count_percentile"),
    )
    return dataset.where(take(users, dataset.users) & take(items, dataset.items))


def _between(counts: NDArray[np.int64], low: float, high: float) -> NDArray[np.bool_]:
    """Return which counts lie between two percentiles of the positive ones; bounds are rounded outwards."""
    positive = counts[counts > 0]
    bounds: tuple[tuple[float, Literal["lower", "higher"]], ...] = ((low, "lower"), (high, "higher"))
    smallest, largest = (np.quantile(positive, share, method=method) for share, method in bounds)
    within: NDArray[np.bool_] = (counts >= smallest) & (counts <= largest)
    return within


RECIPE = Recipe(
    name="aws-sims",
    recipe_type="RELATED_ITEMS",
    description="Items that occur together with an item in the histories of users.",
    hyperparameters={
        "popularity_discount_factor": "0.5",
        "min_cointeraction_count": "3",
        "min_user_history_length_percentile": "0.005",
        "max_user_history_length_percentile": "0.995",
        "min_item_interaction_count_percentile": "0.01",
        "max_item_interaction_count_percentile": "0.9",
    },
    allowed={
        "popularity_discount_factor": SHARE,
        "min_cointeraction_count": Interval(0, 10, whole=True),
        "min_user_history_length_percentile": SHARE,
        "max_user_history_length_percentile": SHARE,
        "min_item_interaction_count_percentile": SHARE,
        "max_item_interaction_count_percentile": SHARE,
    },
    needs=("itemId",),
    feature_transformation="sims",
    list_recipe="similar-items",
    fit=_fit,
)
