"""Offline metrics of user segments: predict the newest fifth of each user's events from the older ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import counted_interactions
from services.engine.training.dataset.split import eligible, hold_out
from services.engine.training.fitting import Fit, Progress
from services.engine.training.methods.user_segments import user_segments
from shared.models import Model

Targets = Callable[[Model, Dataset], Sequence[NDArray[np.int64]]]
"""Returns the sets of items, int64[items] each, whose users are to be predicted."""

_MAX_TARGETS = 500
"""Targets that are drawn: more of them hardly change the means."""
_HELD_OUT_SHARE = 0.2
_SEGMENT_SHARE = 0.01
"""The segment of a target is this share of the users: the metrics' names say 1 percent."""


def offline_metrics(
    fit: Fit, targets: Targets, dataset: Dataset, config: TrainingConfig, progress: Progress
) -> tuple[Model | None, dict[str, float]]:
    """Return a model of the oldest 80 % of each user's events, and metrics on the newest 20 %.

    For each target (a set of items with relevant events) the best 1 % of the users, at least one, are
    compared with the users of those events. `coverage` is the share of the users who are in a segment. The
    model is None when there is too little data to train.
    """
    counted = counted_interactions(dataset, config)
    users = eligible(counted)
    holdout = hold_out(counted, users, newest=_HELD_OUT_SHARE, known=users)
    if len(users) == 0 or len(holdout.train) == 0:
        return None, _means([], [], 0.0)
    model = fit(holdout.train, config, progress)
    drawn = _drawn(targets(model, holdout.relevant))
    user_count = len(np.unique(counted.users))
    segments = user_segments(model, drawn, max(1, round(user_count * _SEGMENT_SHARE)))
    hits, recalls = [], []
    for items, segment in zip(drawn, segments, strict=True):
        truth = np.unique(holdout.relevant.users[np.isin(holdout.relevant.items, items)])
        count = len(np.intersect1d(segment, truth))
        hits.append(count)
        recalls.append(count / max(len(truth), 1))
    covered = len(np.unique(np.concatenate([np.zeros(0, np.int64), *segments])))
    return model, _means(hits, recalls, covered / max(user_count, 1))


def _drawn(targets: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Return up to 500 targets; the draw depends on their number alone."""
    drawn = np.random.default_rng(0).permutation(len(targets))[:_MAX_TARGETS]
    return [targets[number] for number in np.sort(drawn)]


def _means(hits: Sequence[float], recalls: Sequence[float], coverage: float) -> dict[str, float]:
    return {
        "coverage": round(coverage, 4),
        "hits_at_1_percent": round(float(np.mean(hits)), 4) if hits else 0.0,
        "recall_at_1_percent": round(float(np.mean(recalls)), 4) if recalls else 0.0,
    }
