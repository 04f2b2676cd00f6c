"""The five use cases of the ECOMMERCE domain, which are made into recommenders.

https://docs.aws.amazon.com/personalize/latest/dg/ECOMMERCE-use-cases.html
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset.columns import ColumnBuilder, count_numbers
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import counted_interactions
from services.engine.training.dataset.events import interaction_index
from services.engine.training.fitting import Fit, Progress
from services.engine.training.methods.item_cosine import item_cosine
from services.engine.training.recipes import assembly, user_personalization
from services.engine.training.recipes.recipe import Recipe
from shared.models import Ids, Model, Neighbours, Scoring, ScoringComponent
from shared.models.histories import SECONDS_PER_DAY

_KEEP = 500
"""Neighbours per item: the most that Personalize returns for one."""
_SHRINKAGE = 10.0
"""The default of aws-similar-items."""


def _most_frequent(
    dataset: Dataset, config: TrainingConfig, progress: Progress, _: Model | None = None, /
) -> Model:
    """Return a model that ranks items by their number of views, or of purchases."""
    progress("count events", 0.0)
    counted = counted_interactions(dataset, config)
    counts = count_numbers(counted.items, len(counted.item_ids)).astype(np.float32)
    model = assembly.model("", counted, Scoring(kind="popular", scored=False), popularity=counts)
    progress("done", 1.0)
    return model


def _bought_together(
    dataset: Dataset, config: TrainingConfig, progress: Progress, _: Model | None = None, /
) -> Model:
    """Return a model of items that one customer bought on the same day."""
    progress("count baskets", 0.1)
    counted = counted_interactions(dataset, config)
    table = item_cosine(daily_baskets(counted), shrinkage=_SHRINKAGE, keep=_KEEP)
    model = _item_model(counted, table)
    progress("done", 1.0)
    return model


def daily_baskets(dataset: Dataset) -> Dataset:
    """Return the same events with one user per user and day: a basket."""
    builder = ColumnBuilder(dataset.storage, len(dataset), np.int32)
    baskets, count = [np.zeros(0, np.int64)], 0
    for chunk in dataset.chunks():
        keys = chunk.users.astype(np.int64) << 32 | chunk.times // SECONDS_PER_DAY
        chunk_baskets, numbers = np.unique(keys, return_inverse=True)
        builder.append(numbers.reshape(-1) + count)
        baskets.append(chunk_baskets)
        count += len(chunk_baskets)
    return replace(dataset, user_ids=np.concatenate(baskets), users=builder.columns()[0], user_columns={})


def _also_viewed(
    dataset: Dataset, config: TrainingConfig, progress: Progress, _: Model | None = None, /
) -> Model:
    """Return a model of items that the same customers viewed."""
    progress("count co-occurrences", 0.1)
    counted = counted_interactions(dataset, config)
    model = _item_model(counted, item_cosine(counted, shrinkage=_SHRINKAGE, keep=_KEEP))
    progress("done", 1.0)
    return model


def _item_model(counted: Dataset, table: Neighbours) -> Model:
    scoring = Scoring(kind="item", scored=False)
    return assembly.model("", counted, scoring, parts=[ScoringComponent("together", table)])


def _use_case(
    name: str, recipe_type: str, description: str, fit: Fit, *, event_type: str, **more: Any
) -> Recipe:
    """Return a recipe whose models have event times and purchases from events of all types."""
    excludes = more.get("excludes_purchased", False)

    def fit_use_case(
        dataset: Dataset, config: TrainingConfig, progress: Progress, warm_start: Model | None = None, /
    ) -> Model:
        model = fit(dataset, recipe.applied(config), progress, warm_start)
        scoring = model.scoring.model_copy(update={"exclude_bought": excludes})
        model = replace(model, recipe=name, scoring=scoring, **assembly.event_times(dataset))
        if not excludes:
            return model
        users = Ids.of(dataset.user_ids.tolist())
        return replace(model, users=users, interactions=interaction_index(dataset))

    recipe = Recipe(
        name, recipe_type, description, fit=fit_use_case, event_type=event_type, domain="ECOMMERCE", **more
    )
    return recipe


RECIPES = (
    _use_case(
        "aws-ecomm-popular-items-by-views",
        "POPULAR_ITEMS",
        "Most viewed: items by how many times customers viewed them.",
        _most_frequent,
        event_type="View",
        fixes_event_type=True,
    ),
    _use_case(
        "aws-ecomm-popular-items-by-purchases",
        "POPULAR_ITEMS",
        "Best sellers: items by how many times customers purchased them.",
        _most_frequent,
        event_type="Purchase",
        fixes_event_type=True,
    ),
    _use_case(
        "aws-ecomm-frequently-bought-together",
        "RELATED_ITEMS",
        "Items that customers buy together with an item.",
        _bought_together,
        event_type="Purchase",
        fixes_event_type=True,
        needs=("itemId",),
        list_recipe="similar-items",
    ),
    _use_case(
        "aws-ecomm-customers-who-viewed-x-also-viewed",
        "RELATED_ITEMS",
        "Items that customers viewed who also viewed an item, without what the user bought.",
        _also_viewed,
        event_type="View",
        fixes_event_type=True,
        needs=("userId", "itemId"),
        list_recipe="similar-items",
        excludes_purchased=True,
    ),
    _use_case(
        "aws-ecomm-recommended-for-you",
        "USER_PERSONALIZATION",
        "Items that a user will likely turn to next, without what the user bought.",
        user_personalization.RECIPE.fit,
        event_type="View",
        hyperparameters=user_personalization.RECIPE.hyperparameters,
        allowed=user_personalization.RECIPE.allowed,
        explores=True,
        list_recipe="user-personalization",
        excludes_purchased=True,
    ),
)
