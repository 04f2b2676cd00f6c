"""The five use cases of the ECOMMERCE domain, which are made into recommenders.

https://docs.aws.amazon.com/personalize/latest/dg/ECOMMERCE-use-cases.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from services.engine.recipes import assembly, user_personalization
from services.engine.recipes.recipe import Fit, Progress, Recipe
from services.engine.training.dataset import event_weights
from services.engine.training.dataset.columns import Filled, tally
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.methods import item_cosine
from shared.models import Ids, Model, Neighbours, Scoring, ScoringComponent
from shared.models.histories import SECONDS_PER_DAY

_KEEP = 500
_SHRINKAGE = 10.0
_VIEWS = {"eventType": "View", "eventsConfig": None}
_PURCHASES = {"eventType": "Purchase", "eventsConfig": None}


def _most_frequent(
    dataset: Dataset, config: Mapping[str, Any], progress: Progress, _: Model | None = None, /
) -> Model:
    """Items by how many times they were viewed, or purchased."""
    progress("count events", 0.0)
    counted = event_weights.counted(dataset, config)
    times = tally(counted.items, len(counted.item_ids)).astype(np.float32)
    fitted = assembly.model("", counted, Scoring(kind="popular", scored=False), fame=times)
    progress("done", 1.0)
    return fitted


def _bought_together(
    dataset: Dataset, config: Mapping[str, Any], progress: Progress, _: Model | None = None, /
) -> Model:
    """Items by how often one customer bought both on one day."""
    progress("count baskets", 0.1)
    counted = event_weights.counted(dataset, config)
    near = item_cosine.similar(baskets(counted), shrinkage=_SHRINKAGE, keep=_KEEP)
    fitted = _related(counted, near)
    progress("done", 1.0)
    return fitted


def baskets(dataset: Dataset) -> Dataset:
    """The same events with a user for each user's day: what was bought together."""
    numbers, found, count = Filled(dataset.room, len(dataset), np.int32), [np.zeros(0, np.int64)], 0
    for some in dataset.chunks():
        days = some.users.astype(np.int64) << 32 | some.times // SECONDS_PER_DAY
        theirs, places = np.unique(days, return_inverse=True)
        numbers.add(places.reshape(-1) + count)
        found.append(theirs)
        count += len(theirs)
    return replace(dataset, user_ids=np.concatenate(found), users=numbers.columns()[0], user_columns={})


def _also_viewed(
    dataset: Dataset, config: Mapping[str, Any], progress: Progress, _: Model | None = None, /
) -> Model:
    """Items by the customers who viewed both."""
    progress("count co-occurrences", 0.1)
    counted = event_weights.counted(dataset, config)
    fitted = _related(counted, item_cosine.similar(counted, shrinkage=_SHRINKAGE, keep=_KEEP))
    progress("done", 1.0)
    return fitted


def _related(counted: Dataset, near: Neighbours) -> Model:
    scoring = Scoring(kind="item", scored=False)
    return assembly.model("", counted, scoring, parts=[ScoringComponent("together", near)])


def _use_case(
    name: str, recipe_type: str, description: str, fit: Fit, *, event_type: str, **more: Any
) -> Recipe:
    """A recipe whose models know when items were first met, and what users bought, in events of any type."""
    fixed, excludes = more.get("fixed", {}), more.get("excludes_purchased", False)

    def whole(
        dataset: Dataset, config: Mapping[str, Any], progress: Progress, warm_start: Model | None = None, /
    ) -> Model:
        fitted = fit(dataset, {**config, **fixed}, progress, warm_start)
        scoring = fitted.scoring.model_copy(update={"exclude_bought": excludes})
        fitted = replace(fitted, recipe=name, scoring=scoring, **assembly.ages(dataset))
        if not excludes:
            return fitted
        users = Ids.of(dataset.user_ids.tolist())
        return replace(fitted, users=users, interactions=assembly.interaction_index(dataset))

    return Recipe(
        name, recipe_type, description, fit=whole, event_type=event_type, domain="ECOMMERCE", **more
    )


RECIPES = (
    _use_case(
        "aws-ecomm-popular-items-by-views",
        "POPULAR_ITEMS",
        "Most viewed: items by how many times customers viewed them.",
        _most_frequent,
        event_type="View",
        fixed=_VIEWS,
    ),
    _use_case(
        "aws-ecomm-popular-items-by-purchases",
        "POPULAR_ITEMS",
        "Best sellers: items by how many times customers purchased them.",
        _most_frequent,
        event_type="Purchase",
        fixed=_PURCHASES,
    ),
    _use_case(
        "aws-ecomm-frequently-bought-together",
        "RELATED_ITEMS",
        "Items that customers buy together with an item.",
        _bought_together,
        event_type="Purchase",
        fixed=_PURCHASES,
        needs=("itemId",),
    ),
    _use_case(
        "aws-ecomm-customers-who-viewed-x-also-viewed",
        "RELATED_ITEMS",
        "Items that customers viewed who also viewed an item, without what the user bought.",
        _also_viewed,
        event_type="View",
        fixed=_VIEWS,
        needs=("userId", "itemId"),
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
        excludes_purchased=True,
    ),
)
