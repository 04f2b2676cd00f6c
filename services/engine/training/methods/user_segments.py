"""User segments: who will turn to an item, or to any item of a kind.

The transpose of scoring users. A score is linear in the user's history, so the say of every item over a
set of items is summed once, and each user's history is then multiplied with it: a block of users at a time.
Tables that are not linear in the history score all items, a smaller block of users at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from shared.models import Model, Neighbours, ScoringComponent
from shared.models.histories import WeightedEvents

_CELLS_PER_BLOCK = 4_000_000
_SPARE = 4_096
_MOST_LEADERS = 32_000_000

Items = NDArray[np.int64]
Mask = NDArray[np.bool_]
# scipy's arrays have no types of their own.
Sparse = Any


def at_once(model: Model, limit: int) -> int:
    """How many segments fit in a quarter of a gigabyte together: the others take another pass."""
    users = len(model.histories.offsets) - 1
    return max(1, _MOST_LEADERS // (2 * min(limit, users) + _SPARE))


def segments(
    model: Model, targets: Sequence[Items], limit: int, allowed: Sequence[Mask | None] | None = None
) -> list[NDArray[np.int64]]:
    """For each set of items (by their numbers), the users who score highest for them together.

    Users without any affinity to the items are left out, and so are those whom `allowed` does not mark.
    """
    masks = allowed or [None] * len(targets)
    found: list[NDArray[np.int64]] = []
    count = at_once(model, limit)
    for begin in range(0, len(targets), count):
        some = slice(begin, begin + count)
        leaders = [Leaders(limit, mask) for mask in masks[some]]
        for first, scores in _blocks(model, targets[some]):
            for number, leader in enumerate(leaders):
                leader.add(first, scores[:, number])
        found += [leader.best() for leader in leaders]
    return found


class Leaders:
    """The best users so far, in memory of a few times their number."""

    def __init__(self, limit: int, allowed: Mask | None = None) -> None:
        """Keep `limit` users of those that `allowed` marks, or of all."""
        self._limit = limit
        self._allowed = allowed
        self._users = np.zeros(0, np.int32)
        self._scores = np.zeros(0, np.float32)
        self._waiting: list[tuple[NDArray[np.int32], NDArray[np.float32]]] = []
        self._count = 0
        self._floor = np.float32(0)

    def add(self, first: int, scores: NDArray[np.float32]) -> None:
        """See the scores of the users from `first` on."""
        better = scores > self._floor
        if self._allowed is not None:
            better &= self._allowed[first : first + len(scores)]
        rows = np.flatnonzero(better)
        if len(rows):
            self._waiting.append(((rows + first).astype(np.int32), scores[rows]))
            self._count += len(rows)
        if self._count > self._limit + _SPARE:
            self._settle()

    def best(self) -> NDArray[np.int64]:
        """Their numbers, best first; ties by number."""
        self._settle()
        return self._users[np.lexsort((self._users, -self._scores))].astype(np.int64)

    def _settle(self) -> None:
        users = np.concatenate([self._users, *(users for users, _ in self._waiting)])
        scores = np.concatenate([self._scores, *(scores for _, scores in self._waiting)])
        if len(users) > self._limit:
            # Whoever comes later has to be better, so of equals those with the smaller numbers stay.
            order = np.lexsort((users, -scores))[: self._limit]
            users, scores = users[order], scores[order]
            self._floor = scores[-1]
        self._users, self._scores, self._waiting, self._count = users, scores, [], 0


def _blocks(model: Model, targets: Sequence[Items]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """(number of the first user, scores: users × targets) for all users, in blocks."""
    histories, weights = model.histories, np.array(model.scoring.type_weights)
    users, items = len(histories.offsets) - 1, len(model.items)
    marks = _marks(targets, items)
    says = [_say(part, marks) for part in model.components]
    height = max(1, _CELLS_PER_BLOCK // max(len(targets), 1))
    for begin in range(0, users, height):
        rows = min(height, users - begin)
        seen = WeightedEvents.of(histories.of(np.arange(begin, begin + rows)), weights)
        scores = np.zeros((rows, len(targets)), np.float32)
        for part, say in zip(model.components, says, strict=True):
            shares = seen.shares(part.decay, part.unit) * part.weight
            if say is not None:
                taste = sparse.csr_array((shares, (seen.users, seen.items)), shape=(rows, items))
                scores += (taste @ say).toarray()
            else:
                _add_whole(part, seen, shares, marks, scores)
        yield begin, scores


def _marks(targets: Sequence[Items], items: int) -> Sparse:
    """1 where an item belongs to a target: items × targets."""
    chosen = np.concatenate([np.zeros(0, np.int64), *targets])
    column = np.repeat(np.arange(len(targets)), [len(target) for target in targets])
    return sparse.csr_array((np.ones(len(chosen), np.float32), (chosen, column)), (items, len(targets)))


def _say(part: ScoringComponent, marks: Sparse) -> Sparse | None:
    """What an event with each item says for each target; None for a table that is not one of neighbours."""
    table = part.table
    if not isinstance(table, Neighbours):
        return None
    near = sparse.csr_array((table.weights, table.items, table.offsets), shape=(marks.shape[0],) * 2)
    return near @ marks


def _add_whole(
    part: ScoringComponent,
    seen: WeightedEvents,
    shares: NDArray[np.float64],
    marks: Sparse,
    scores: NDArray[np.float32],
) -> None:
    """Let a table score all items for some users at a time, and keep what it says for the targets."""
    assert not isinstance(part.table, Neighbours)
    height = max(1, _CELLS_PER_BLOCK // max(marks.shape[0], 1))
    for begin in range(0, len(scores), height):
        end = min(begin + height, len(scores))
        low, high = np.searchsorted(seen.users, [begin, end])
        whole = np.zeros((end - begin, marks.shape[0]))
        part.table.add(whole, seen.rows(begin, end), shares[low:high])
        scores[begin:end] += whole @ marks
