"""An objective beside relevance: scores lean towards items with more of a numeric attribute."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.engine.recipes.metrics import DEPTH
from services.engine.recipes.recipe import Fit, Progress
from services.engine.training.dataset.dataset import Dataset
from shared.errors import Permanent
from shared.models import Model

SHARES = {"OFF": 0.0, "LOW": 0.1, "MEDIUM": 0.3, "HIGH": 0.6}
"""How far lists go from the most relevant items towards those with the most of the attribute."""

_USERS = 200
_CELLS = 4_000_000
_STEPS = 24
_MOST = 1e6


def under(fit: Fit) -> Fit:
    """The same fit with scores that lean towards the solution's objective, where it has one."""

    def tilting(
        dataset: Dataset, config: Mapping[str, Any], progress: Progress, warm_start: Model | None = None, /
    ) -> Model:
        return tilted(fit(dataset, config, progress, warm_start), dataset, config)

    return tilting


def tilted(model: Model, dataset: Dataset, config: Mapping[str, Any]) -> Model:
    """A model whose lists have so much more of the attribute as the sensitivity asks for.

    The attribute counts by its rank among items, 0 … 1, so that one dear item decides nothing; an item
    without a value has 0. The weight of the rank is the one under which the mean rank in the lists of
    some training users goes that share of the way to the highest there could be.
    """
    wanted = config.get("optimizationObjective") or {}
    share = SHARES[wanted.get("objectiveSensitivity") or "OFF"]
    name = wanted.get("itemAttribute")
    if not name or not share:
        return model
    ranks = _ranks(_values(dataset, name))
    weight = _weight(model, ranks, share)
    note = {"attribute": name, "sensitivity": wanted["objectiveSensitivity"], "weight": round(weight, 6)}
    tilt = (weight * ranks).astype(np.float32)
    return replace(model, objective_scores=tilt, notes={**model.notes, "objective": note})


def rewards(
    lists: Iterable[tuple[Sequence[str], Collection[str]]], dataset: Dataset, config: Mapping[str, Any]
) -> dict[str, float]:
    """`average_rewards_at_k` for (recommended, held out) pairs; nothing without an objective.

    The mean over users of the rewards (the attribute) of the held-out items among the first 25
    recommended, over the rewards of all that was held out. Users who had nothing to earn are left out.
    """
    name = (config.get("optimizationObjective") or {}).get("itemAttribute")
    if not name:
        return {}
    values = np.nan_to_num(_values(dataset, name))
    values -= values.min(initial=0)
    rewards = dict(zip(dataset.item_ids.tolist(), values.tolist(), strict=True))
    shares = []
    for items, truth in lists:
        possible = sum(rewards[item] for item in truth)
        if possible > 0:
            shares.append(sum(rewards[item] for item in items[:DEPTH] if item in truth) / possible)
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
    """Ranks among the known values, from 0 to 1; 0 where none is known."""
    known = ~np.isnan(values)
    ranks = np.zeros(len(values))
    ordered = np.sort(values[known])
    below, reached = (np.searchsorted(ordered, values[known], side) for side in ("left", "right"))
    ranks[known] = (below + reached - 1) / 2 / max(len(ordered) - 1, 1)
    return ranks


def _weight(model: Model, ranks: NDArray[np.float64], share: float) -> float:
    users = np.flatnonzero(np.diff(model.histories.offsets))
    most = max(1, min(_USERS, _CELLS // max(len(ranks), 1)))
    some = np.sort(np.random.default_rng(3).permutation(users)[:most])
    scores = model.raw_scores(some)
    depth = min(DEPTH, len(ranks))

    def reached(leaning: NDArray[np.float64]) -> float:
        first = np.argpartition(-leaning, depth - 1, axis=1)[:, :depth]
        return float(ranks[first].mean())

    start = reached(scores)
    end = reached(np.where(np.isfinite(scores), ranks, -np.inf))
    wanted = start + share * (end - start)
    low, high = 0.0, float(scores[np.isfinite(scores)].std()) or 1.0
    while reached(scores + high * ranks) < wanted and high < _MOST:
        low, high = high, 2 * high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(scores + middle * ranks) < wanted else (low, middle)
    return high if end > start else 0.0
