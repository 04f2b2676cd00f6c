"""The Gram matrix XᵀX of users × items, summed over chunks of users: dense, for catalogues that afford it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy
from numpy.typing import NDArray

from services.engine.training.methods import neighbour_tables


def gram_matrix(chunks: Iterable[scipy.sparse.csr_array], item_count: int) -> NDArray[np.float32]:
    """Return the sum of XᵀX over chunks of users, CSR[users, items] each: float32[items, items]."""
    total = np.zeros((item_count, item_count), np.float32)
    for chunk in chunks:
        transposed = chunk.T.tocsr()
        height = neighbour_tables.height(chunk)
        for begin in range(0, item_count, height):
            total[begin : begin + height] += (transposed[begin : begin + height] @ chunk).toarray()
    return total
