"""Scores of many rows from one item-item table, as the product of a sparse and a dense matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from services.engine.recipes.tables import matrix
from shared.models import Neighbours
from shared.models.histories import Occasions
from shared.models.scoring import Scores

_MOST_CELLS = 25_000_000
_FEWEST_SHARE = 1 / 64
"""Least share of cells with a weight. A dense row costs as much as a sixty-fourth of its cells one by one."""


def fits(table: Neighbours) -> bool:
    """Return whether a dense matrix of the table fits into memory and makes scoring faster."""
    cells = (len(table.offsets) - 1) ** 2
    return cells <= _MOST_CELLS and len(table.items) >= cells * _FEWEST_SHARE


def scores(table: Neighbours, seen: Occasions, shares: Scores, rows: int) -> NDArray[np.float32]:
    """Return the weighted mean over each row's events, (rows, items) float32.

    `shares` has the share of each event in its row, (events,) float64. Events are ordered by row. Sums are
    float64, so that items which are worth as much score as much.
    """
    weights = matrix(table).astype(np.float64).toarray()
    offsets = np.searchsorted(seen.users, np.arange(rows + 1))
    events = sparse.csr_array((shares, seen.items, offsets), shape=(rows, len(weights)))
    return np.asarray(events @ weights, np.float32)
