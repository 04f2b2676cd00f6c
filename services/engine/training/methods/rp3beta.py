"""RP3β: random walks item → user → item, for catalogues too wide for a dense matrix.

Bibek Paudel and others, "Updatable, Accurate, Diverse, and Scalable Recommendations for Interactive
Applications", 2017. Only each item's strongest neighbours are kept, block by block.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from services.engine.training.methods import neighbour_tables
from shared.models import Neighbours

_PRODUCTS_PER_BLOCK = 4_000_000
"""Products of a block of rows, which bound its memory to some tens of megabytes."""


def rp3beta(
    user_items: scipy.sparse.csr_array, *, alpha: float = 0.7, beta: float = 0.3, keep: int = 200
) -> Neighbours:
    """Return each item's `keep` strongest neighbours: transition probabilities ** alpha / popularity ** beta.

    user_items: CSR float32[users, items].
    """
    items = user_items.shape[1]
    lengths = np.diff(user_items.indptr)
    item_users = user_items.T.tocsr()
    popularity = np.maximum(np.diff(item_users.indptr), 1)
    to_users = _transition_powers(item_users, 1 / popularity, alpha)
    to_items = _transition_powers(user_items, 1 / np.maximum(lengths, 1), alpha)
    to_items = to_items @ scipy.sparse.diags_array(
        (popularity.astype(np.float64) ** -beta).astype(np.float32)
    )
    to_items = to_items.tocsr()
    work = float((lengths.astype(np.float64) ** 2).sum())
    height = max(1, int(items * min(1.0, _PRODUCTS_PER_BLOCK / max(work, 1.0))))

    def rows(begin: int, end: int) -> scipy.sparse.csr_array:
        """Return a block of rows: CSR float32[rows, items]."""
        return neighbour_tables.without_diagonal((to_users[begin:end] @ to_items).tocsr(), begin)

    return neighbour_tables.strongest_of_sparse(rows, items, keep, height)


def _transition_powers(
    matrix: scipy.sparse.csr_array, row_factors: NDArray[np.float64], power: float
) -> scipy.sparse.csr_array:
    scaled: scipy.sparse.csr_array = (
        scipy.sparse.diags_array(row_factors.astype(np.float32)) @ matrix
    ).tocsr()
    scaled.data = np.power(scaled.data, power, dtype=np.float32)
    return scaled
