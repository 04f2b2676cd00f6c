"""Item-item tables as dense matrices: many rows of events are scored from them by one product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from services.engine.recipes.tables import matrix
from shared.models import Neighbours
from shared.models.histories import Occasions
from shared.models.scoring import Scores

_MOST_CELLS = 25_000_000
_FEWEST_SHARE = 1 / 64
"""Of the cells. A product with a dense row takes as long as one with a sixty-fourth of it, item by item."""


@dataclass(frozen=True)
class Dense:
    """`weights[i, j]` is what an event with item i adds to the score of item j, (items, items) float32."""

    weights: NDArray[np.float32]

    def scores(self, seen: Occasions, shares: Scores, rows: int) -> NDArray[np.float32]:
        """The weighted mean over each row's events, (rows, items) float32.

        `shares` has the share of each event in its row, (events,). Events are ordered by row.
        """
        offsets = np.searchsorted(seen.users, np.arange(rows + 1))
        events = sparse.csr_array(
            (shares.astype(np.float32), seen.items, offsets), shape=(rows, len(self.weights))
        )
        return np.asarray(events @ self.weights, np.float32)


def fits(table: Neighbours) -> bool:
    """Whether a table is small enough in all, and full enough, for scores to come faster from a matrix."""
    cells = (len(table.offsets) - 1) ** 2
    return cells <= _MOST_CELLS and len(table.items) >= cells * _FEWEST_SHARE


def of(table: Neighbours) -> Dense:
    """The table's weights as a dense matrix."""
    return Dense(matrix(table).toarray())
