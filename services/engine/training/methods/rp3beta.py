"""RP3β: two-step walks item → user → item, for catalogues too wide for a dense matrix.

Bibek Paudel and others, "Updatable, Accurate, Diverse, and Scalable Recommendations for Interactive
Applications", 2017. Only each item's strongest neighbours are kept, block by block.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from services.engine.recipes import tables
from shared.models import Neighbours

_PRODUCTS_PER_BLOCK = 4_000_000


def walks(seen: sparse.csr_array, *, alpha: float = 0.7, beta: float = 0.3, keep: int = 200) -> Neighbours:
    """Transition probabilities, each to the power of alpha, divided by popularity to beta."""
    items = seen.shape[1]
    lengths = np.diff(seen.indptr)
    holders = seen.T.tocsr()
    fame = np.diff(holders.indptr)
    out = _scaled(holders, 1 / np.maximum(fame, 1), alpha)
    back = _scaled(seen, 1 / np.maximum(lengths, 1), alpha)
    back = back @ sparse.diags_array((np.maximum(fame, 1).astype(np.float64) ** -beta).astype(np.float32))
    back = back.tocsr()
    work = float((lengths.astype(np.float64) ** 2).sum())
    height = max(1, int(items * min(1.0, _PRODUCTS_PER_BLOCK / max(work, 1.0))))

    def rows(begin: int, end: int) -> sparse.csr_array:
        return tables.without_diagonal((out[begin:end] @ back).tocsr(), begin)

    return tables.strongest_of_sparse(rows, items, keep, height)


def _scaled(matrix: sparse.csr_array, by_row: np.ndarray, power: float) -> sparse.csr_array:
    scaled: sparse.csr_array = (sparse.diags_array(by_row.astype(np.float32)) @ matrix).tocsr()
    scaled.data = np.power(scaled.data, power, dtype=np.float32)
    return scaled
