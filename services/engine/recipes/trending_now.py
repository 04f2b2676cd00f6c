"""aws-trending-now: the items whose interactions rise fastest, the same list for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.engine.recipes import assembly
from services.engine.recipes.recipe import Progress, Recipe
from services.engine.training.dataset import event_weights
from services.engine.training.dataset.dataset import Dataset
from shared.models import Model, Scoring

FREQUENCY = "trend_discovery_frequency"
SECONDS = {"3 hours": 10_800, "30 minutes": 1_800, "1 hour": 3_600, "1 day": 86_400}
"""The default comes first."""

TRENDS = 100
"""So many items are what a trend is judged by."""

# Popularity orders items that don't rise, and ties; the smallest rise there is counts 0.7.
_POPULAR = 1e-3


def _fit(dataset: Dataset, config: Mapping[str, Any], progress: Progress, _: Model | None = None) -> Model:
    progress("count the newest interactions", 0.0)
    counted = event_weights.counted(dataset, config)
    seconds = interval(config)
    end = int(counted.times.max()) + 1
    popular = assembly.popularity(counted)
    fame = np.maximum(rises(counted, end, seconds), 0) + _POPULAR * popular / max(popular.max(), 1)
    fitted = assembly.model(
        RECIPE.name,
        counted,
        Scoring(kind="popular", scored=False),
        fame=fame.astype(np.float32),
        notes={"interactions": len(counted), "seconds": seconds, "until": end},
    )
    progress("done", 1.0)
    return fitted


def interval(config: Mapping[str, Any]) -> int:
    """The seconds between which trends are looked for."""
    given = config.get("featureTransformationParameters") or {}
    return SECONDS[given.get(FREQUENCY, next(iter(SECONDS)))]


def rises(dataset: Dataset, end: int, seconds: int) -> NDArray[np.float64]:
    """How much more each item is interacted with in the last interval before `end` than in the one before.

    (now − before) / √(now + before + 1): in units of chance, so that one event after none is no trend
    beside a hundred after fifty.
    """
    count = len(dataset.item_ids)
    now, before = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for some in dataset.chunks():
        age = (end - 1 - some.times) // seconds
        now += np.bincount(some.items[age == 0], minlength=count)
        before += np.bincount(some.items[age == 1], minlength=count)
    rise: NDArray[np.float64] = (now - before) / np.sqrt(now + before + 1.0)
    return rise


def accuracy(dataset: Dataset, config: Mapping[str, Any]) -> dict[str, float]:
    """How much of the newest interval's trend was foreseen an interval earlier.

    The rises of the 100 items that trended before, over those of the 100 that trend most now; falls
    count as none. 0 when nothing rises.
    """
    counted = event_weights.counted(dataset, config)
    seconds = interval(config)
    end = int(counted.times.max()) + 1
    true = np.maximum(rises(counted, end, seconds), 0)
    foreseen = np.argsort(-rises(counted, end - seconds, seconds), kind="stable")[:TRENDS]
    best = np.sort(true)[::-1][:TRENDS].sum()
    return {"trend_prediction_accuracy": round(float(true[foreseen].sum() / best), 4) if best else 0.0}


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
