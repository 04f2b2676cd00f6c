"""Scores of many rows over a wide catalogue, where a row's few events change the scores of few items.

Visiting every item costs a hundred times as much as visiting the changed ones. The scores of all other items
are the prior's, so their order and their softmax sum are computed once.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.models.components import ScoringComponent
from shared.models.histories import WeightedEvents, distinct
from shared.models.neighbours import Neighbours
from shared.models.scoring import Numbers, Scores, best
from shared.models.workspace import Workspace

MIN_ITEMS = 1 << 15
"""From this catalogue size on, sparse scoring is used."""
_CELLS = 1 << 22
"""Cells of the buffer of scores: 32 MiB."""
_SPARE = 100
"""The number of a row's best items by the prior that may be excluded before the whole row is sorted."""


@dataclass(frozen=True)
class TopItems:
    """The best items of many rows: row r owns `numbers[offsets[r]:offsets[r + 1]]`, best first.

    `highest` and `total` are each row's highest score and softmax divisor, float64[rows].
    """

    offsets: Numbers
    numbers: Numbers
    scores: Scores
    highest: Scores
    total: Scores


class SparseWorkspace(Workspace):
    """Buffers whose rows hold the prior between two calls; not to be shared between threads."""

    def __init__(self, prior: Scores, limit: int, temperature: float | None) -> None:
        """Prepare for the `limit` best items of each row; a softmax has a temperature."""
        super().__init__(max(1, _CELLS // len(prior)), len(prior))
        self._prior = prior
        self._limit = limit
        self._temperature = temperature
        self._flat = self._scores.reshape(-1)
        self._scores[:] = prior
        order = np.argsort(-prior, kind="stable")
        self._first = order[: limit + _SPARE]
        beyond = order[limit + _SPARE :]
        self._next = prior[beyond[0]] if len(beyond) else -np.inf
        self._highest = float(prior[order[0]])
        self._exponentials = np.exp((prior - self._highest) / temperature) if temperature else np.zeros(0)
        self._exponential_sum = float(self._exponentials.sum())
        self._changed: list[NDArray[np.int64]] = []

    def top(
        self,
        components: Sequence[ScoringComponent],
        events: WeightedEvents,
        rows: int,
        excluded: tuple[Numbers, Numbers],
    ) -> TopItems:
        """Return the best items of each row.

        Pairs of `excluded`, (rows, items), are none of the best, but count for the softmax.
        """
        self._changed = [
            (np.arange(rows)[:, None] * self.items + self._first).reshape(-1),
            excluded[0] * self.items + excluded[1],
        ]
        self._add_components(self._scores[:rows], components, events)
        cells = distinct(np.concatenate(self._changed))
        bounds = np.searchsorted(cells, np.arange(rows + 1) * self.items)
        numbers = cells - np.repeat(np.arange(rows) * self.items, np.diff(bounds))
        highest, total = self._sparse_softmax(self._flat[cells], numbers, bounds[:-1])
        self._flat[self._changed[1]] = -np.inf
        changed = self._flat[cells]
        top = [
            self._best(row, numbers[begin:end], changed[begin:end])
            for row, (begin, end) in enumerate(itertools.pairwise(bounds))
        ]
        offsets = np.concatenate(([0], np.cumsum([len(items) for items in top])))
        joined = np.concatenate([np.zeros(0, np.int64), *top])
        scores = self._scores[np.repeat(np.arange(rows), np.diff(offsets)), joined]
        self._flat[cells] = self._prior[numbers]
        return TopItems(offsets, joined, scores, highest, total)

    def _best(self, row: int, numbers: Numbers, scores: Scores) -> Numbers:
        """Return the best of a row: of its visited items, or of all where an unvisited one may be better."""
        top = best(scores, self._limit)
        if len(top) == self._limit and scores[top[-1]] > self._next:
            return numbers[top]
        return best(self._scores[row], self._limit)

    def _sparse_softmax(self, scores: Scores, numbers: Numbers, begins: Numbers) -> tuple[Scores, Scores]:
        """Return each row's highest score and the sum of exp((score − highest) / temperature)."""
        if not self._temperature:
            return np.zeros(len(begins)), np.ones(len(begins))
        highest = np.maximum(np.maximum.reduceat(scores, begins), self._highest)
        counts = np.diff(np.append(begins, len(scores)))
        exponentials = np.exp((scores - np.repeat(highest, counts)) / self._temperature)
        unvisited = self._exponential_sum - np.add.reduceat(self._exponentials[numbers], begins)
        total = np.add.reduceat(exponentials, begins)
        total += unvisited * np.exp((self._highest - highest) / self._temperature)
        return highest, total

    def _add(self, table: Neighbours, rows: NDArray[Any], items: NDArray[Any], shares: Scores) -> None:
        super()._add(table, rows, items, shares)
        self._changed.append(self._cells[: len(items) * table.width].copy())
