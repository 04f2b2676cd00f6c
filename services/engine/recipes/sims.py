"""aws-sims: items in the same people's histories, with the knobs of the service and nothing else.

https://docs.aws.amazon.com/personalize/latest/dg/native-recipe-sims.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from services.engine.recipes import assembly, tables
from services.engine.recipes.recipe import SHARE, Hyperparameters, Interval, Progress, Recipe
from services.engine.training.dataset import event_weights
from services.engine.training.dataset.columns import each, tally
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.methods.item_cosine import users_by_items
from shared.models import Model, Neighbours, Scoring, ScoringComponent

_KEEP = 500


def _fit(dataset: Dataset, config: Mapping[str, Any], progress: Progress, _: Model | None = None) -> Model:
    progress("count co-interactions", 0.1)
    counted = event_weights.counted(dataset, config)
    given = Hyperparameters.of(config, RECIPE.hyperparameters)
    table = likeness(
        users_by_items(usual(counted, given)),
        discount=given.number("popularity_discount_factor"),
        fewest=given.number("min_cointeraction_count"),
    )
    progress("assemble", 0.9)
    fitted = assembly.model(
        RECIPE.name,
        counted,
        Scoring(kind="item", scored=False),
        parts=[ScoringComponent("together", table)],
        notes={"interactions": len(counted)},
    )
    progress("done", 1.0)
    return fitted


def usual(dataset: Dataset, given: Hyperparameters) -> Dataset:
    """Without the users and items that have unusually few or many interactions."""
    users = _between(
        tally(dataset.users, len(dataset.user_ids)),
        given.number("min_user_history_length_percentile"),
        given.number("max_user_history_length_percentile"),
    )
    items = _between(
        tally(dataset.items, len(dataset.item_ids)),
        given.number("min_item_interaction_count_percentile"),
        given.number("max_item_interaction_count_percentile"),
    )
    return dataset.where(each(users, dataset.users) & each(items, dataset.items))


def _between(counts: NDArray[np.int64], low: float, high: float) -> NDArray[np.bool_]:
    """Which counts lie between two percentiles of those that are not 0; a bound is rounded outwards."""
    real = counts[counts > 0]
    ends: tuple[tuple[float, Literal["lower", "higher"]], ...] = ((low, "lower"), (high, "higher"))
    fewest, most = (np.quantile(real, share, method=way) for share, way in ends)
    within: NDArray[np.bool_] = (counts >= fewest) & (counts <= most)
    return within


def likeness(seen: sparse.csr_array, *, discount: float, fewest: float) -> Neighbours:
    """Each item's neighbours; `seen` is users × items.

    With n_ij common users, j is as like i as n_ij / (n_i^(1 − discount) · n_j^discount): the share of
    i's users at 0, which favours popular items, the cosine at ½, and the share of j's users at 1. Pairs
    with fewer than `fewest` common users are not alike.
    """
    holders = seen.T.tocsr()
    fame = np.maximum(np.diff(holders.indptr), 1).astype(np.float64)

    def rows(begin: int, end: int) -> sparse.csr_array:
        common = (holders[begin:end] @ seen).tocoo()
        row, item = common.coords
        kept = (row + begin != item) & (common.data >= fewest)
        row, item, count = row[kept], item[kept], common.data[kept]
        scale = fame[row + begin] ** (1 - discount) * fame[item] ** discount
        weight = (count / scale).astype(np.float32)
        return sparse.coo_array((weight, (row, item)), shape=common.shape).tocsr()

    return tables.strongest_of_sparse(rows, seen.shape[1], _KEEP, tables.height(seen))


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
    fit=_fit,
)
