"""Scores of many rows from one item-item table, as the product of a sparse and a dense matrix."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from shared.models import Neighbours
from shared.models.histories import WeightedEvents
from shared.models.scoring import Scores

_MOST_CELLS = 25_000_000
_FEWEST_SHARE = 1 / 64
"""Least share of cells with a weight. A dense row costs as much as a sixty-fourth of its cells one by one."""


def has_dense_copy(table: Neighbours) -> bool:
    """Return whether a dense matrix of the table fits into memory and makes scoring faster."""
    cells = (len(table.offsets) - 1) ** 2
    return cells <= _MOST_CELLS and len(table.items) >= cells * _FEWEST_SHARE


class DenseTables:
    """Dense copies of the tables that were scored last.

    Decays of one table are tried one after the other, and filling a matrix takes longer than scoring with it.
    Together the copies have 25 million cells at most (200 MB). Not to be shared between threads.
    """

    def __init__(self) -> None:
        self._copies: list[tuple[Neighbours, NDArray[np.float64]]] = []

    def scores(
        self, table: Neighbours, events: WeightedEvents, shares: Scores, rows: int
    ) -> NDArray[np.float32]:
        """Return the weighted mean over each row's events, float32[rows, items].

        `shares` has the share of each event in its row, float64[events]. Events are ordered by row. Sums are
        float64, so that items which are worth as much score as much.
        """
        weights = self._dense(table)
        offsets = np.searchsorted(events.users, np.arange(rows + 1))
        by_item = scipy.sparse.csr_array((shares, events.items, offsets), shape=(rows, len(weights)))
        return np.asarray(by_item @ weights, np.float32)

    def _dense(self, table: Neighbours) -> NDArray[np.float64]:
        """Return the table as float64[items, items]."""
        for known, copy in self._copies:
            if known is table:
                return copy
        count = len(table.offsets) - 1
        filled = scipy.sparse.csr_array(
            (table.weights.astype(np.float64), table.items, table.offsets), shape=(count, count)
        )
        # A matrix that is filled anew takes no new memory, which is what takes the time.
        spare = None
        while self._copies and (len(self._copies) + 1) * count**2 > _MOST_CELLS:
            _, spare = self._copies.pop(0)
        copy = filled.toarray(out=spare if spare is not None and spare.shape == filled.shape else None)
        self._copies.append((table, copy))
        return copy
