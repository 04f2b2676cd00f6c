"""User segments: the users with the highest scores for an item, or for a set of items.

This is the transpose of scoring users. A score is linear in the user's history, so each item's contribution
to a set of items is summed once, and the histories are multiplied with it: a block of users at a time. Tables
that are not linear in the history score all items, for smaller blocks of users.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from shared.models import Model, Neighbours, ScoringComponent
from shared.models.histories import WeightedEvents

_CELLS_PER_BLOCK = 4_000_000
_SPARE = 4_096
"""Candidates beyond the limit that are collected before they are sorted. Arbitrary."""
_MAX_CANDIDATES = 32_000_000
"""Candidates of all segments together: a quarter of a gigabyte."""

Items = NDArray[np.int64]
Mask = NDArray[np.bool_]
# scipy's arrays have no types of their own.
Sparse = Any


def segments_per_pass(model: Model, limit: int) -> int:
    """Return how many segments fit in memory together; others take another pass over the users."""
    users = len(model.histories.offsets) - 1
    return max(1, _MAX_CANDIDATES // (2 * min(limit, users) + _SPARE))


def user_segments(
    model: Model, targets: Sequence[Items], limit: int, allowed: Sequence[Mask | None] | None = None
) -> list[NDArray[np.int64]]:
    """Return for each set of items, int64[items], the users with the highest scores: int64[users] each.

    Users with score 0 are left out, and so are users whom a mask of `allowed`, bool[users], does not mark.
    """
    masks = allowed or [None] * len(targets)
    segments: list[NDArray[np.int64]] = []
    count = segments_per_pass(model, limit)
    for begin in range(0, len(targets), count):
        in_pass = slice(begin, begin + count)
        top = [TopUsers(limit, mask) for mask in masks[in_pass]]
        for first, scores in _blocks(model, targets[in_pass]):
            for number, users in enumerate(top):
                users.add(first, scores[:, number])
        segments += [users.best() for users in top]
    return segments


class TopUsers:
    """The best users so far, in memory of a few times their number."""

    def __init__(self, limit: int, allowed: Mask | None = None) -> None:
        """Keep `limit` users of those that `allowed`, bool[users], marks, or of all."""
        self._limit = limit
        self._allowed = allowed
        self._users = np.zeros(0, np.int32)
        self._scores = np.zeros(0, np.float32)
        self._unsorted: list[tuple[NDArray[np.int32], NDArray[np.float32]]] = []
        self._count = 0
        self._lowest = np.float32(0)

    def add(self, first: int, scores: NDArray[np.float32]) -> None:
        """Take in the scores, float32[rows], of the users from `first` on."""
        better = scores > self._lowest
        if self._allowed is not None:
            better &= self._allowed[first : first + len(scores)]
        rows = np.flatnonzero(better)
        if len(rows):
            self._unsorted.append(((rows + first).astype(np.int32), scores[rows]))
            self._count += len(rows)
        if self._count > self._limit + _SPARE:
            self._sort()

    def best(self) -> NDArray[np.int64]:
        """Return their numbers, best first, ties by number: int64[users]."""
        self._sort()
        return self._users[np.lexsort((self._users, -self._scores))].astype(np.int64)

    def _sort(self) -> None:
        users = np.concatenate([self._users, *(users for users, _ in self._unsorted)])
        scores = np.concatenate([self._scores, *(scores for _, scores in self._unsorted)])
        if len(users) > self._limit:
            # A later user has to be better, so of equal users those with smaller numbers stay.
            order = np.lexsort((users, -scores))[: self._limit]
            users, scores = users[order], scores[order]
            self._lowest = scores[-1]
        self._users, self._scores, self._unsorted, self._count = users, scores, [], 0


def _blocks(model: Model, targets: Sequence[Items]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (number of the first user, float32[users, targets]) for all users, in blocks."""
    histories, weights = model.histories, np.array(model.scoring.type_weights)
    users, items = len(histories.offsets) - 1, len(model.items)
    membership = _membership(targets, items)
    item_targets = [_item_targets(component, membership) for component in model.components]
    height = max(1, _CELLS_PER_BLOCK // max(len(targets), 1))
    for begin in range(0, users, height):
        rows = min(height, users - begin)
        events = WeightedEvents.of(histories.of(np.arange(begin, begin + rows)), weights)
        scores = np.zeros((rows, len(targets)), np.float32)
        for component, contributions in zip(model.components, item_targets, strict=True):
            shares = events.shares(component.decay, component.unit) * component.weight
            if contributions is not None:
                user_items = scipy.sparse.csr_array(
                    (shares, (events.users, events.items)), shape=(rows, items)
                )
                scores += (user_items @ contributions).toarray()
            else:
                _add_all_items(component, events, shares, membership, scores)
        yield begin, scores


def _membership(targets: Sequence[Items], items: int) -> Sparse:
    """Return 1 where an item belongs to a target: CSR float32[items, targets]."""
    members = np.concatenate([np.zeros(0, np.int64), *targets])
    column = np.repeat(np.arange(len(targets)), [len(target) for target in targets])
    return scipy.sparse.csr_array(
        (np.ones(len(members), np.float32), (members, column)), (items, len(targets))
    )


def _item_targets(component: ScoringComponent, membership: Sparse) -> Sparse | None:
    """Return what an event of an item adds to a target: CSR float32[items, targets].

    None for a table other than `Neighbours`.
    """
    table = component.table
    if not isinstance(table, Neighbours):
        return None
    items = membership.shape[0]
    return (
        scipy.sparse.csr_array((table.weights, table.items, table.offsets), shape=(items, items)) @ membership
    )


def _add_all_items(
    component: ScoringComponent,
    events: WeightedEvents,
    shares: NDArray[np.float64],
    membership: Sparse,
    scores: NDArray[np.float32],
) -> None:
    """Score all items for blocks of users, and add the sums over the targets to `scores`."""
    assert not isinstance(component.table, Neighbours)
    items = membership.shape[0]
    height = max(1, _CELLS_PER_BLOCK // max(items, 1))
    for begin in range(0, len(scores), height):
        end = min(begin + height, len(scores))
        low, high = np.searchsorted(events.users, [begin, end])
        item_scores = np.zeros((end - begin, items))
        component.table.add(item_scores, events.rows(begin, end), shares[low:high])
        scores[begin:end] += item_scores @ membership
