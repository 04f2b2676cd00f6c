"""Scores of many rows at once, in memory that is used again and again.

Fresh arrays of some megabytes cost more in page faults than the arithmetic on them: with these
buffers a score takes a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.models.histories import Occasions
from shared.models.neighbours import Neighbours
from shared.models.parts import Part
from shared.models.scoring import Numbers, Scores, places

_PRODUCTS = 1 << 17


class Workspace:
    """Buffers for up to `rows` rows of `items` scores each; not to be shared between threads.

    `scores` and `best` return views or results of these buffers, valid until the next call.
    """

    def __init__(self, rows: int, items: int) -> None:
        self.rows = rows
        self.items = items
        self._scores = np.empty((rows, items))
        self._spare = np.empty((rows, items))
        self._places = np.empty(_PRODUCTS, np.int64)
        self._cells = np.empty(_PRODUCTS, np.int64)
        self._near = np.empty(_PRODUCTS, np.int32)
        self._weights = np.empty(_PRODUCTS, np.float32)
        self._said = np.empty(_PRODUCTS)
        self._real = np.empty(_PRODUCTS, bool)

    def scores(
        self, parts: Sequence[Part], seen: Occasions, rows: int, start: Scores | float = 0.0
    ) -> Scores:
        """`start` plus the parts' weighted means over each row's events: a view, (rows, items)."""
        scores = self._scores[:rows]
        scores[:] = start
        self._add_parts(scores, parts, seen)
        return scores

    def _add_parts(self, scores: Scores, parts: Sequence[Part], seen: Occasions) -> None:
        """Add the parts' weighted means to the first rows, of which `scores` is a view."""
        for part in parts:
            shares = seen.shares(part.decay, part.unit) * part.weight
            if not isinstance(part.table, Neighbours):
                part.table.add(scores, seen, shares)
                continue
            height = max(1, _PRODUCTS // max(part.table.width, 1))
            for begin in range(0, len(seen.users), height):
                some = slice(begin, begin + height)
                self._add(part.table, seen.users[some], seen.items[some], shares[some])

    def best(self, scores: Scores, limit: int) -> tuple[Numbers, Numbers]:
        """Each row's highest scores, best first: (offsets, numbers), ties by number, −inf never.

        Row r's numbers are numbers[offsets[r]:offsets[r + 1]].
        """
        rows, count = scores.shape
        if limit < count:
            spare = self._spare[:rows]
            spare[:] = scores
            spare.partition(count - limit, axis=1)
            lowest = np.maximum(spare[:, count - limit, None], -np.finfo(np.float64).max)
            row, number = places(scores >= lowest)
        else:
            row, number = places(scores > -np.inf)
        order = np.lexsort((-scores[row, number], row))
        row, number = row[order], number[order]
        found = np.bincount(row, minlength=rows)
        rank = np.arange(len(row)) - np.repeat(np.cumsum(found) - found, found)
        offsets = np.concatenate(([0], np.cumsum(np.minimum(found, limit))))
        return offsets, number[rank < limit]

    def softmax(self, scores: Scores, temperature: float) -> tuple[Scores, Scores]:
        """Each row's highest score and the sum that makes exp((score − highest) / temperature) 1."""
        highest = scores.max(axis=1)
        spare = self._spare[: len(scores)]
        np.subtract(scores, highest[:, None], out=spare)
        np.multiply(spare, 1 / temperature, out=spare)
        np.exp(spare, out=spare)
        return highest, spare.sum(axis=1)

    def _add(self, table: Neighbours, rows: NDArray[Any], items: NDArray[Any], shares: Scores) -> None:
        """Add each event's share of its item's neighbours; shorter rows are padded with nothing."""
        width = table.width
        shape = (len(items), width)
        size = len(items) * width
        if size == 0:
            return
        cells, said = self._cells[:size].reshape(shape), self._said[:size].reshape(shape)
        near = self._near[:size].reshape(shape)
        weights = self._weights[:size].reshape(shape)
        if table.even:
            np.take(table.items.reshape(-1, width), items, axis=0, out=near, mode="clip")
            np.take(table.weights.reshape(-1, width), items, axis=0, out=weights, mode="clip")
        else:
            self._pad(table, items, near, weights)
        np.add(near, (rows * self.items)[:, None], out=cells)
        np.multiply(weights, shares[:, None], out=said)
        np.add.at(self._scores.reshape(-1), cells.reshape(-1), said.reshape(-1))

    def _pad(
        self,
        table: Neighbours,
        items: NDArray[Any],
        near: NDArray[np.int32],
        weights: NDArray[np.float32],
    ) -> None:
        """Copy rows of different lengths side by side, with weights of 0 behind the shorter ones."""
        column = np.arange(table.width)
        begins = table.offsets[items]
        spots = self._places[: near.size].reshape(near.shape)
        real = self._real[: near.size].reshape(near.shape)
        np.add(begins[:, None], column, out=spots)
        np.take(table.items, spots, out=near, mode="clip")
        np.take(table.weights, spots, out=weights, mode="clip")
        np.less(column, (table.offsets[items + 1] - begins)[:, None], out=real)
        np.multiply(weights, real, out=weights)
