"""Offline metrics of user segments: train on the oldest four fifths of each user, find the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from services.engine.training.dataset import event_weights
from services.engine.training.dataset.split import eligible, hold_out
from services.engine.training.methods import user_segments

if TYPE_CHECKING:
    from services.engine.recipes.recipe import Fit, Progress
    from services.engine.training.dataset.dataset import Dataset
    from shared.models import Model

Targets = Callable[["Model", "Dataset"], Sequence[NDArray[np.int64]]]

_MOST_TARGETS = 500


def offline_metrics(
    fit: Fit, targets: Targets, dataset: Dataset, config: Mapping[str, Any], progress: Progress
) -> tuple[Model | None, dict[str, float]]:
    """A model of the oldest 80 % of each user's occasions, and how well it finds who has the newest 20 %.

    For each target (a set of items that somebody turned to) the best 1 % of the users, at least one, are
    compared with the users who turned to it. `coverage` is the share of the users who are in a segment.
    """
    counted = event_weights.counted(dataset, config)
    users = eligible(counted)
    parted = hold_out(counted, users, newest=0.2, known=users)
    if len(users) == 0 or len(parted.train) == 0:
        return None, _means([], [], 0.0)
    model = fit(parted.train, config, progress)
    sought = _sample(targets(model, parted.sought))
    everybody = len(np.unique(counted.users))
    found = user_segments.segments(model, sought, max(1, round(everybody * 0.01)))
    hits, recalls = [], []
    for items, segment in zip(sought, found, strict=True):
        truth = np.unique(parted.sought.users[np.isin(parted.sought.items, items)])
        met = len(np.intersect1d(segment, truth))
        hits.append(met)
        recalls.append(met / max(len(truth), 1))
    covered = len(np.unique(np.concatenate([np.zeros(0, np.int64), *found])))
    return model, _means(hits, recalls, covered / max(everybody, 1))


def _sample(targets: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Some hundred targets tell as much as all; the draw depends on their number alone."""
    drawn = np.random.default_rng(0).permutation(len(targets))[:_MOST_TARGETS]
    return [targets[number] for number in np.sort(drawn)]


def _means(hits: Sequence[float], recalls: Sequence[float], coverage: float) -> dict[str, float]:
    return {
        "coverage": round(coverage, 4),
        "hits_at_1_percent": round(float(np.mean(hits)), 4) if hits else 0.0,
        "recall_at_1_percent": round(float(np.mean(recalls)), 4) if recalls else 0.0,
    }
