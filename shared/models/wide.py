"""Scores of many rows over a wide catalogue: a row's few events move few of its items off the prior.

To look at every item costs a hundred times as much as to look at those that were moved. The others keep
the order and the sum that the prior has: both are found once.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.models.histories import Occasions, distinct
from shared.models.neighbours import Neighbours
from shared.models.parts import Part
from shared.models.scoring import Numbers, Scores, best
from shared.models.workspace import Workspace

FEWEST_ITEMS = 1 << 15
_CELLS = 1 << 22
# So many of a row's best by the prior may be barred before the row has to be looked at as a whole.
_SPARE = 100


class WideWorkspace(Workspace):
    """Buffers whose rows hold the prior between two calls; not to be shared between threads."""

    def __init__(self, prior: Scores, limit: int, temperature: float | None) -> None:
        """For the `limit` best of each row; a softmax has a temperature."""
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
        self._risen = np.exp((prior - self._highest) / temperature) if temperature else np.zeros(0)
        self._all_risen = float(self._risen.sum())
        self._moved: list[NDArray[np.int64]] = []

    def found(
        self, parts: Sequence[Part], seen: Occasions, rows: int, barred: tuple[Numbers, Numbers]
    ) -> tuple[Numbers, Numbers, Scores, Scores, Scores]:
        """Each row's best as (offsets, numbers, scores); each row's highest score and softmax's divisor.

        What is `barred`, (rows, numbers), is none of the best, but counts for the softmax.
        """
        self._moved = [
            (np.arange(rows)[:, None] * self.items + self._first).reshape(-1),
            barred[0] * self.items + barred[1],
        ]
        self._add_parts(self._scores[:rows], parts, seen)
        cells = distinct(np.concatenate(self._moved))
        bounds = np.searchsorted(cells, np.arange(rows + 1) * self.items)
        numbers = cells - np.repeat(np.arange(rows) * self.items, np.diff(bounds))
        highest, total = self._softmax(self._flat[cells], numbers, bounds[:-1])
        self._flat[self._moved[1]] = -np.inf
        moved = self._flat[cells]
        chosen = [
            self._best(row, numbers[begin:end], moved[begin:end])
            for row, (begin, end) in enumerate(itertools.pairwise(bounds))
        ]
        offsets = np.concatenate(([0], np.cumsum([len(some) for some in chosen])))
        together = np.concatenate([np.zeros(0, np.int64), *chosen])
        scores = self._scores[np.repeat(np.arange(rows), np.diff(offsets)), together]
        self._flat[cells] = self._prior[numbers]
        return offsets, together, scores, highest, total

    def _best(self, row: int, numbers: Numbers, scores: Scores) -> Numbers:
        """The best of a row, which are among those that were looked at unless these are worse than others."""
        chosen = best(scores, self._limit)
        if len(chosen) == self._limit and scores[chosen[-1]] > self._next:
            return numbers[chosen]
        return best(self._scores[row], self._limit)

    def _softmax(self, scores: Scores, numbers: Numbers, begins: Numbers) -> tuple[Scores, Scores]:
        """Each row's highest score and the sum that makes exp((score − highest) / temperature) 1."""
        if not self._temperature:
            return np.zeros(len(begins)), np.ones(len(begins))
        highest = np.maximum(np.maximum.reduceat(scores, begins), self._highest)
        counts = np.diff(np.append(begins, len(scores)))
        risen = np.exp((scores - np.repeat(highest, counts)) / self._temperature)
        others = self._all_risen - np.add.reduceat(self._risen[numbers], begins)
        total = np.add.reduceat(risen, begins)
        total += others * np.exp((self._highest - highest) / self._temperature)
        return highest, total

    def _add(self, table: Neighbours, rows: NDArray[Any], items: NDArray[Any], shares: Scores) -> None:
        super()._add(table, rows, items, shares)
        self._moved.append(self._cells[: len(items) * table.width].copy())
