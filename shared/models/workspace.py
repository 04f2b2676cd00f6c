"""Scores of many rows at once, in buffers that are allocated once.

Fresh arrays of some megabytes cost more in page faults than the arithmetic on them: with these buffers
scoring takes a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.models.components import ScoringComponent
from shared.models.histories import WeightedEvents
from shared.models.neighbours import Neighbours
from shared.models.scoring import Numbers, Scores, nth_highest, places

_PRODUCTS = 1 << 17
"""Products of one step: 1 MiB of float64."""


class Workspace:
    """Buffers for up to `rows` rows of `items` scores each; not to be shared between threads.

    `scores` and `best` return views of these buffers, valid until the next call.
    """

    def __init__(self, rows: int, items: int) -> None:
        self.rows = rows
        self.items = items
        self._scores = np.empty((rows, items))
        self._spare = np.empty((rows, items))
        self._entries = np.empty(_PRODUCTS, np.int64)
        self._cells = np.empty(_PRODUCTS, np.int64)
        self._neighbours = np.empty(_PRODUCTS, np.int32)
        self._weights = np.empty(_PRODUCTS, np.float32)
        self._products = np.empty(_PRODUCTS)
        self._real = np.empty(_PRODUCTS, bool)

    def scores(
        self,
        components: Sequence[ScoringComponent],
        events: WeightedEvents,
        rows: int,
        start: Scores | float = 0.0,
    ) -> Scores:
        """Return `start` plus the components' weighted means over each row's events: float64[rows, items].

        The result is a view of a buffer.
        """
        scores = self._scores[:rows]
        scores[:] = start
        self._add_components(scores, components, events)
        return scores

    def _add_components(
        self, scores: Scores, components: Sequence[ScoringComponent], events: WeightedEvents
    ) -> None:
        """Add the components' weighted means to the first rows, of which `scores` is a view."""
        for component in components:
            shares = events.shares(component.decay, component.unit) * component.weight
            if not isinstance(component.table, Neighbours):
                component.table.add(scores, events, shares)
                continue
            height = max(1, _PRODUCTS // max(component.table.width, 1))
            for begin in range(0, len(events.users), height):
                step = slice(begin, begin + height)
                self._add(component.table, events.users[step], events.items[step], shares[step])

    def best(self, scores: Scores, limit: int) -> tuple[Numbers, Numbers]:
        """Return each row's highest scores, best first: offsets, int64[rows + 1], and items, int64[entries].

        Row r has items[offsets[r]:offsets[r + 1]]; ties go by number, and −inf is left out.
        """
        rows, count = scores.shape
        if limit < count:
            spare = self._spare[:rows]
            spare[:] = scores
            lowest = np.maximum(nth_highest(spare, limit)[:, None], -np.finfo(np.float64).max)
            row, number = places(scores >= lowest)
        else:
            row, number = places(scores > -np.inf)
        order = np.lexsort((-scores[row, number], row))
        row, number = row[order], number[order]
        counts = np.bincount(row, minlength=rows)
        rank = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        offsets = np.concatenate(([0], np.cumsum(np.minimum(counts, limit))))
        return offsets, number[rank < limit]

    def softmax(self, scores: Scores, temperature: float) -> tuple[Scores, Scores]:
        """Return each row's highest score and sum of exp((score − highest) / temperature): float64[rows]."""
        highest = scores.max(axis=1)
        spare = self._spare[: len(scores)]
        np.subtract(scores, highest[:, None], out=spare)
        if temperature != 1:
            np.multiply(spare, 1 / temperature, out=spare)
        np.exp(spare, out=spare)
        return highest, spare.sum(axis=1)

    def _add(self, table: Neighbours, rows: NDArray[Any], items: NDArray[Any], shares: Scores) -> None:
        """Add each event's share of its item's neighbours; shorter rows are padded with weights of 0."""
        width = table.width
        shape = (len(items), width)
        size = len(items) * width
        if size == 0:
            return
        cells, products = self._cells[:size].reshape(shape), self._products[:size].reshape(shape)
        neighbours = self._neighbours[:size].reshape(shape)
        weights = self._weights[:size].reshape(shape)
        if table.is_rectangular:
            np.take(table.items.reshape(-1, width), items, axis=0, out=neighbours, mode="clip")
            np.take(table.weights.reshape(-1, width), items, axis=0, out=weights, mode="clip")
        else:
            self._pad(table, items, neighbours, weights)
        if self.rows == 1:
            np.copyto(cells, neighbours)
        else:
            np.add(neighbours, (rows * self.items)[:, None], out=cells)
        np.multiply(weights, shares[:, None], out=products)
        np.add.at(self._scores.reshape(-1), cells.reshape(-1), products.reshape(-1))

    def _pad(
        self,
        table: Neighbours,
        items: NDArray[Any],
        neighbours: NDArray[np.int32],
        weights: NDArray[np.float32],
    ) -> None:
        """Copy rows of different lengths side by side, with weights of 0 behind the shorter ones."""
        column = np.arange(table.width)
        begins = table.offsets[items]
        entries = self._entries[: neighbours.size].reshape(neighbours.shape)
        real = self._real[: neighbours.size].reshape(neighbours.shape)
        np.add(begins[:, None], column, out=entries)
        np.take(table.items, entries, out=neighbours, mode="clip")
        np.take(table.weights, entries, out=weights, mode="clip")
        np.less(column, (table.offsets[items + 1] - begins)[:, None], out=real)
        np.multiply(weights, real, out=weights)
