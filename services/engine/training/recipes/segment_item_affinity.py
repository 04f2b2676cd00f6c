"""aws-item-affinity: the users who will most likely turn to an item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.evaluation import segment_metrics
from services.engine.training.fitting import Progress
from services.engine.training.recipes import user_personalization
from services.engine.training.recipes.recipe import Recipe
from shared.models import Model

NAME = "aws-item-affinity"


def fit(
    dataset: Dataset, config: TrainingConfig, progress: Progress, warm_start: Model | None = None
) -> Model:
    """Return a model of user-personalization, whose scores are then ranked by user instead of by item.

    Users who have an item already may want it again, so they are not left out.
    """
    settings = config.model_copy(update={"algorithm_hyper_parameters": {"exclude_seen": "false"}})
    model = user_personalization.RECIPE.fit(dataset, settings, progress, warm_start)
    return replace(model, recipe=NAME)


def _metrics(
    dataset: Dataset, config: TrainingConfig, progress: Progress
) -> tuple[Model | None, dict[str, float]]:
    return segment_metrics.offline_metrics(fit, _targets, dataset, config, progress)


def _targets(_: Model, relevant: Dataset) -> Sequence[NDArray[np.int64]]:
    """Return each relevant item."""
    return [np.array([item]) for item in np.unique(relevant.items)]


RECIPE = Recipe(
    name=NAME,
    recipe_type="USER_SEGMENTATION",
    description="Users who will most likely turn to an item; for batch segment jobs.",
    adds_up=True,
    fit=fit,
    offline_metrics=_metrics,
    needs=("itemId",),
)
