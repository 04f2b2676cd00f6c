"""aws-trending-now: items whose interactions rise fastest, the same list for everybody."""

from __future__ import annotations

import numpy as np

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import counted_interactions
from services.engine.training.dataset.events import item_popularity
from services.engine.training.fitting import Progress
from services.engine.training.methods.trend import rises
from services.engine.training.recipes import assembly
from services.engine.training.recipes.recipe import Recipe
from shared.models import Model, Scoring

FREQUENCY = "trend_discovery_frequency"
SECONDS = {"3 hours": 10_800, "30 minutes": 1_800, "1 hour": 3_600, "1 day": 86_400}
"""The lengths of the interval; the default comes first."""

TRENDS = 100
"""Items that trend_prediction_accuracy compares."""

_POPULARITY_WEIGHT = 1e-3
"""Popularity orders items that do not rise, and ties; the smallest rise is 0.7."""


def _fit(dataset: Dataset, config: TrainingConfig, progress: Progress, _: Model | None = None) -> Model:
    progress("count the newest interactions", 0.0)
    counted = counted_interactions(dataset, config)
    seconds = interval(config)
    end = int(counted.times.max()) + 1
    popularity = item_popularity(counted)
    trend = np.maximum(rises(counted, end, seconds), 0)
    trend += _POPULARITY_WEIGHT * popularity / max(popularity.max(), 1)
    model = assembly.model(
        RECIPE.name,
        counted,
        Scoring(kind="popular", scored=False),
        popularity=trend.astype(np.float32),
        notes={"interactions": len(counted), "seconds": seconds, "until": end},
    )
    progress("done", 1.0)
    return model


def interval(config: TrainingConfig) -> int:
    """Return the configured length of the interval in seconds."""
    parameters = config.feature_transformation_parameters or {}
    return SECONDS[parameters.get(FREQUENCY, next(iter(SECONDS)))]


def accuracy(dataset: Dataset, config: TrainingConfig) -> dict[str, float]:
    """Return trend_prediction_accuracy: how well the last interval's trend predicted the newest one's.

    It is the sum of rises of the 100 items that trended an interval earlier, over that of the 100 items that
    trend most now; falls count as 0. It is 0 when nothing rises.
    """
    counted = counted_interactions(dataset, config)
    seconds = interval(config)
    end = int(counted.times.max()) + 1
    actual = np.maximum(rises(counted, end, seconds), 0)
    predicted = np.argsort(-rises(counted, end - seconds, seconds), kind="stable")[:TRENDS]
    best = np.sort(actual)[::-1][:TRENDS].sum()
    return {"trend_prediction_accuracy": round(float(actual[predicted].sum() / best), 4) if best else 0.0}


RECIPE = Recipe(
    name="aws-trending-now",
    recipe_type="POPULAR_ITEMS",
    description="Items whose interactions rise fastest from one interval to the next.",
    transformations={FREQUENCY: tuple(SECONDS)},
    needs=(),
    batch=False,
    algorithm="aws-trending-now-custom",
    more_metrics=accuracy,
    fit=_fit,
)
