"""optimizationObjective: a weight for a numeric attribute of items beside relevance."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.engine.domain.solution_config import OptimizationObjective, TrainingConfig
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.fitting import DEPTH, Fit, Progress
from shared.errors import Permanent
from shared.models import Model

SHARES = {"OFF": 0.0, "LOW": 0.1, "MEDIUM": 0.3, "HIGH": 0.6}
"""The share of the way from the most relevant items to those with the highest attribute. Arbitrary."""

_MAX_USERS = 200
_CELLS = 4_000_000
"""Scores that the search for the weight looks at: 32 MB."""
_STEPS = 24
"""Bisections of the weight: a relative error below 1e-7."""
_MAX_WEIGHT = 1e6


def with_objective(fit: Fit) -> Fit:
    """Return the same fit, with the solution's objective added to the scores if it has one."""

    def fit_with_objective(
        dataset: Dataset, config: TrainingConfig, progress: Progress, warm_start: Model | None = None, /
    ) -> Model:
        return add_objective(fit(dataset, config, progress, warm_start), dataset, config)

    return fit_with_objective


def add_objective(model: Model, dataset: Dataset, config: TrainingConfig) -> Model:
    """Return the model with scores for the objective, weighted as its sensitivity says.

    The attribute counts by its rank among items, 0 … 1, so that one expensive item decides nothing; an item
    without a value has 0. The weight is the one with which the mean rank in the lists of a sample of training
    users goes the sensitivity's share of the way to the highest possible one. Raises Permanent for an
    attribute that is no numeric column of the items.
    """
    settings = config.optimization_objective or OptimizationObjective()
    sensitivity, name = settings.objective_sensitivity or "OFF", settings.item_attribute
    share = SHARES[sensitivity]
    if not name or not share:
        return model
    ranks = _ranks(_values(dataset, name))
    weight = _weight(model, ranks, share)
    note = {"attribute": name, "sensitivity": sensitivity, "weight": round(weight, 6)}
    scores = (weight * ranks).astype(np.float32)
    return replace(model, objective_scores=scores, notes={**model.notes, "objective": note})


def rewards(
    lists: Iterable[tuple[Sequence[str], Collection[str]]], dataset: Dataset, config: TrainingConfig
) -> dict[str, float]:
    """Return average_rewards_at_k for pairs of recommended and relevant items; {} without an objective.

    This is the mean over users of the rewards (the attribute) of the relevant items among the first 25
    recommended, over the rewards of all relevant items. Users without any reward are left out.
    """
    name = config.objective_attribute
    if not name:
        return {}
    values = np.nan_to_num(_values(dataset, name))
    values -= values.min(initial=0)
    rewards = dict(zip(dataset.item_ids.tolist(), values.tolist(), strict=True))
    shares = []
    for items, relevant in lists:
        possible = sum(rewards[item] for item in relevant)
        if possible > 0:
            shares.append(sum(rewards[item] for item in items[:DEPTH] if item in relevant) / possible)
    return {"average_rewards_at_k": round(float(np.mean(shares)), 4) if shares else 0.0}


def _values(dataset: Dataset, name: str) -> NDArray[np.float64]:
    columns = {column.upper(): values for column, values in dataset.item_columns.items()}
    values = columns.get(name.upper())
    if values is None or values.dtype.kind != "f":
        known = ", ".join(sorted(dataset.item_columns)) or "none"
        raise Permanent(
            f"optimizationObjective.itemAttribute {name} is no numeric column of the Items dataset; its "
            f"columns are: {known}."
        )
    return values


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks among the known values, from 0 to 1; 0 for unknown values: float64[items]."""
    known = ~np.isnan(values)
    ranks = np.zeros(len(values))
    ordered = np.sort(values[known])
    below, reached = (np.searchsorted(ordered, values[known], side) for side in ("left", "right"))
    ranks[known] = (below + reached - 1) / 2 / max(len(ordered) - 1, 1)
    return ranks


def _weight(model: Model, ranks: NDArray[np.float64], share: float) -> float:
    users = np.flatnonzero(np.diff(model.histories.offsets))
    count = max(1, min(_MAX_USERS, _CELLS // max(len(ranks), 1)))
    sample = np.sort(np.random.default_rng(3).permutation(users)[:count])
    scores = model.raw_scores(sample)
    depth = min(DEPTH, len(ranks))

    def mean_rank(weighted: NDArray[np.float64]) -> float:
        top = np.argpartition(-weighted, depth - 1, axis=1)[:, :depth]
        return float(ranks[top].mean())

    start = mean_rank(scores)
    end = mean_rank(np.where(np.isfinite(scores), ranks, -np.inf))
    target = start + share * (end - start)
    low, high = 0.0, float(scores[np.isfinite(scores)].std()) or 1.0
    while mean_rank(scores + high * ranks) < target and high < _MAX_WEIGHT:
        low, high = high, 2 * high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_rank(scores + middle * ranks) < target else (low, middle)
    return high if end > start else 0.0
