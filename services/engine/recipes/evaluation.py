"""GetSolutionMetrics: train on nine users of ten, see how the tenth's newest events are met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.engine.recipes import metrics, weights
from services.engine.recipes.dataset import Dataset
from services.engine.recipes.recipe import Progress, Recipe, silent
from shared.models import Model

Event = tuple[str, str, int]


@dataclass(frozen=True)
class Split:
    """What trains, and for each held-out user the events to see and the items to find."""

    train: Dataset
    users: list[tuple[list[Event], set[str]]]


def split(dataset: Dataset, *, seed: int = 0, share: float = 0.1) -> Split:
    """Hold out a tenth of the users who have two occasions or more.

    Of each, the oldest 90 % of the occasions (user, item, second) is seen and the newest 10 %, at
    least one, is to be found. The choice depends on the seed and the data alone.
    """
    offsets = dataset.offsets()
    new = _occasion_starts(dataset)
    occasions = np.bincount(dataset.users[new], minlength=len(dataset.user_ids))
    eligible = np.flatnonzero(occasions >= 2)
    shuffled = np.random.default_rng(seed).permutation(eligible)
    chosen = np.sort(shuffled[: max(1, round(len(eligible) * share))] if len(eligible) > 1 else [])
    held = np.zeros(len(dataset.user_ids), bool)
    held[chosen.astype(np.int64)] = True
    users = [
        _held_out(dataset, new, int(offsets[user]), int(offsets[user + 1])) for user in np.flatnonzero(held)
    ]
    return Split(dataset.where(~held[dataset.users]), users)


def evaluate(
    recipe: Recipe,
    dataset: Dataset,
    config: Mapping[str, Any],
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, float]:
    """The offline metrics of a recipe on a dataset, with Personalize's keys."""
    counted = weights.counted(dataset, config)
    parted = split(counted, seed=seed)
    if not parted.users or len(parted.train) == 0:
        return metrics.solution_metrics([], len(dataset.item_ids))
    model = recipe.fit(parted.train, config, progress)
    return metrics.solution_metrics(_lists(model, parted), len(dataset.item_ids))


def _lists(model: Model, parted: Split) -> Iterator[tuple[list[str], set[str]]]:
    for history, truth in parted.users:
        found = model.recommend(item_id=history[-1][0], history=history, limit=metrics.DEPTH)
        yield [item for item, _ in found], truth


def _occasion_starts(dataset: Dataset) -> NDArray[np.bool_]:
    """True where a row begins a new (user, item, second)."""
    new = np.ones(len(dataset), bool)
    if len(dataset):
        new[1:] = (
            (dataset.users[1:] != dataset.users[:-1])
            | (dataset.items[1:] != dataset.items[:-1])
            | (dataset.times[1:] != dataset.times[:-1])
        )
    return new


def _held_out(dataset: Dataset, new: NDArray[np.bool_], begin: int, end: int) -> tuple[list[Event], set[str]]:
    numbers = np.cumsum(new[begin:end])
    visible = int(numbers[-1]) - max(1, round(int(numbers[-1]) * 0.1))
    cut = begin + int(np.searchsorted(numbers, visible, side="right"))
    history = [
        (
            dataset.item_ids[dataset.items[place]],
            dataset.event_type_names[dataset.event_types[place]],
            int(dataset.times[place]),
        )
        for place in range(begin, cut)
    ]
    return history, {dataset.item_ids[item] for item in dataset.items[cut:end]}
