"""Splits a dataset into training data and held-out users, whose newest events a model has to predict."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.engine.training.dataset.columns import take
from services.engine.training.dataset.dataset import Dataset


@dataclass(frozen=True)
class Holdout:
    """Training data, and the events of held-out users: the older ones are `seen`, the newest `relevant`.

    `users`, int64[held-out users], are the dataset's numbers; `seen` and `relevant` have their rows only.
    """

    train: Dataset
    seen: Dataset
    relevant: Dataset
    users: NDArray[np.int64]


def eligible(dataset: Dataset) -> NDArray[np.int64]:
    """Return the users with at least two distinct (item, second) pairs: int64[users]."""
    users = len(dataset.user_ids)
    counts = np.zeros(users, np.int64)
    for chunk in dataset.chunks():
        counts += np.bincount(chunk.users[_is_first(chunk)], minlength=users)
    return np.flatnonzero(counts >= 2)


def split_users(dataset: Dataset, *, seed: int = 0, share: float = 0.1) -> Holdout:
    """Hold out a share of the eligible users.

    The oldest 90 % of each one's events are seen and the newest 10 %, at least one, are relevant. The draw
    depends on the seed and the data alone. No user is held out of a dataset with a single active user.
    """
    candidates = eligible(dataset)
    if dataset.active_users < 2 or len(candidates) == 0:
        return hold_out(dataset, np.zeros(0, np.int64))
    shuffled = np.random.default_rng(seed).permutation(candidates)
    return hold_out(dataset, shuffled[: max(1, round(len(candidates) * share))])


def hold_out(
    dataset: Dataset,
    users: NDArray[np.int64],
    *,
    newest: float = 0.1,
    whole_moments: bool = False,
    known: NDArray[np.int64] | None = None,
) -> Holdout:
    """Take `users`, int64[users], out of the training data, and split the events of each by time.

    The share `newest` of a user's distinct (item, second) pairs is relevant, at least one; at least one is
    seen. With `whole_moments` all events of one second stay together, as relevant ones: half of a basket
    would tell too much about the other half. The seen events of `known`, int64[users], stay in the training
    data.
    """
    held = np.zeros(len(dataset.user_ids), bool)
    held[users] = True
    is_held = take(held, dataset.users)
    events = dataset.where(np.flatnonzero(is_held))
    is_first = _is_first(events)
    counts = np.bincount(events.users[is_first], minlength=len(dataset.user_ids))
    relevant_counts = np.clip(np.rint(counts * newest).astype(np.int64), 1, np.maximum(counts - 1, 1))
    before = np.cumsum(counts) - counts
    rank_in_user = np.cumsum(is_first) - 1 - before[events.users]
    is_relevant = rank_in_user >= (counts - relevant_counts)[events.users]
    if whole_moments:
        is_relevant = _with_their_second(events, is_relevant)
    unknown = held.copy()
    if known is not None:
        unknown[known] = False
    trains = ~is_held
    trains[is_held] = ~unknown[events.users] & ~is_relevant
    train = dataset.where(trains)
    if dataset.aggregates is not None:
        put_back = events.where(~unknown[events.users] & ~is_relevant)
        aggregates = dataset.aggregates.without(dataset.user_ids[held], but=put_back)
        train = replace(train, aggregates=aggregates)
    return Holdout(train, events.where(~is_relevant), events.where(is_relevant), np.flatnonzero(held))


def _with_their_second(dataset: Dataset, is_relevant: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Extend relevant rows to all rows of their second, except for users who would have nothing earlier."""
    first = np.full(len(dataset.user_ids), np.iinfo(np.int64).max)
    np.minimum.at(first, dataset.users[is_relevant], dataset.times[is_relevant])
    extended: NDArray[np.bool_] = dataset.times >= first[dataset.users]
    earlier = np.bincount(dataset.users[~extended], minlength=len(dataset.user_ids)) > 0
    return np.where(earlier[dataset.users], extended, is_relevant)


def _is_first(dataset: Dataset) -> NDArray[np.bool_]:
    """Return whether a row is the first of its (user, item, second)."""
    new = np.ones(len(dataset), bool)
    if len(dataset):
        new[1:] = (
            (dataset.users[1:] != dataset.users[:-1])
            | (dataset.items[1:] != dataset.items[:-1])
            | (dataset.times[1:] != dataset.times[:-1])
        )
    return new
