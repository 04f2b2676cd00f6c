"""Holding out users: the oldest of their events to see, the newest to find."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.engine.training.dataset.columns import each
from services.engine.training.dataset.dataset import Dataset


@dataclass(frozen=True)
class Holdout:
    """Some users' events in two: `seen` and `sought` hold the held-out users' rows of `dataset`."""

    train: Dataset
    seen: Dataset
    sought: Dataset
    users: NDArray[np.int64]


def eligible(dataset: Dataset) -> NDArray[np.int64]:
    """Users with two occasions (user, item, second) or more: something to see, something to find."""
    users = len(dataset.user_ids)
    counts = np.zeros(users, np.int64)
    for some in dataset.chunks():
        counts += np.bincount(some.users[_begins(some)], minlength=users)
    return np.flatnonzero(counts >= 2)


def hold_out(
    dataset: Dataset,
    users: NDArray[np.int64],
    *,
    newest: float = 0.1,
    whole_moments: bool = False,
    known: NDArray[np.int64] | None = None,
) -> Holdout:
    """Take these users out of the training data, and the newest share of each one's occasions apart.

    At least one occasion is to be found, and at least one is seen. With `whole_moments` the events
    of one second stay together, to be found, since a basket's half says too much about the other.
    What `known` users are seen to do stays in the training data.
    """
    held = np.zeros(len(dataset.user_ids), bool)
    held[users] = True
    mine = each(held, dataset.users)
    theirs = dataset.where(np.flatnonzero(mine))
    begins = _begins(theirs)
    counts = np.bincount(theirs.users[begins], minlength=len(dataset.user_ids))
    sought = np.clip(np.rint(counts * newest).astype(np.int64), 1, np.maximum(counts - 1, 1))
    before = np.cumsum(counts) - counts
    place_in_user = np.cumsum(begins) - 1 - before[theirs.users]
    late = place_in_user >= (counts - sought)[theirs.users]
    if whole_moments:
        late = _with_their_moment(theirs, late)
    stranger = held.copy()
    if known is not None:
        stranger[known] = False
    trains = ~mine
    trains[mine] = ~stranger[theirs.users] & ~late
    train = dataset.where(trains)
    if dataset.elsewhere is not None:
        left = theirs.where(~stranger[theirs.users] & ~late)
        train = replace(train, elsewhere=dataset.elsewhere.without(dataset.user_ids[held], but=left))
    return Holdout(train, theirs.where(~late), theirs.where(late), np.flatnonzero(held))


def _with_their_moment(dataset: Dataset, late: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Late rows and those of their second, but for users who would have nothing earlier."""
    first = np.full(len(dataset.user_ids), np.iinfo(np.int64).max)
    np.minimum.at(first, dataset.users[late], dataset.times[late])
    wider: NDArray[np.bool_] = dataset.times >= first[dataset.users]
    earlier = np.bincount(dataset.users[~wider], minlength=len(dataset.user_ids)) > 0
    return np.where(earlier[dataset.users], wider, late)


def _begins(dataset: Dataset) -> NDArray[np.bool_]:
    """True where a row begins a new (user, item, second)."""
    new = np.ones(len(dataset), bool)
    if len(dataset):
        new[1:] = (
            (dataset.users[1:] != dataset.users[:-1])
            | (dataset.items[1:] != dataset.items[:-1])
            | (dataset.times[1:] != dataset.times[:-1])
        )
    return new
