"""aws-item-affinity: the users who will most likely turn to an item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.engine.recipes import segment_metrics, user_personalization
from services.engine.recipes.recipe import Progress, Recipe
from services.engine.training.dataset.dataset import Dataset
from shared.models import Model

NAME = "aws-item-affinity"


def fit(
    dataset: Dataset, config: Mapping[str, Any], progress: Progress, warm_start: Model | None = None
) -> Model:
    """The scorer of user-personalization: it is asked for users instead of items.

    Who has an item already may well want it again, so nobody is left out for that.
    """
    asked = {**config, "algorithmHyperParameters": {"exclude_seen": "false"}}
    return replace(user_personalization.RECIPE.fit(dataset, asked, progress, warm_start), recipe=NAME)


def _offline_metrics(
    dataset: Dataset, config: Mapping[str, Any], progress: Progress
) -> tuple[Model | None, dict[str, float]]:
    return segment_metrics.offline_metrics(fit, _targets, dataset, config, progress)


def _targets(_: Model, sought: Dataset) -> Sequence[NDArray[np.int64]]:
    """Each item that somebody turned to."""
    return [np.array([item]) for item in np.unique(sought.items)]


RECIPE = Recipe(
    name=NAME,
    recipe_type="USER_SEGMENTATION",
    description="Users who will most likely turn to an item; for batch segment jobs.",
    adds_up=True,
    fit=fit,
    offline_metrics=_offline_metrics,
    needs=("itemId",),
)
