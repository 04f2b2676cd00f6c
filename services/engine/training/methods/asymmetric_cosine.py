"""Asymmetric cosine of items' users: what the popularity_discount_factor of aws-sims adjusts.

Fabio Aiolli, "Efficient Top-N Recommendation for Very Large Scale Binary Rated Datasets", 2013.
"""

from __future__ import annotations

import numpy as np
import scipy

from services.engine.training.methods import neighbour_tables
from shared.models import Neighbours


def asymmetric_cosine(
    user_items: scipy.sparse.csr_array, *, discount: float, min_common: float, keep: int
) -> Neighbours:
    """Return each item's `keep` most similar items; user_items: CSR float32[users, items].

    With n_ij common users, the similarity of j to i is n_ij / (n_i^(1 − discount) · n_j^discount): the share
    of i's users at 0, which favours popular items, the cosine at ½, and the share of j's users at 1. Pairs
    with fewer than `min_common` common users are left out.
    """
    item_users = user_items.T.tocsr()
    popularity = np.maximum(np.diff(item_users.indptr), 1).astype(np.float64)

    def rows(begin: int, end: int) -> scipy.sparse.csr_array:
        """Return a block of rows: CSR float32[rows, items]."""
        common = (item_users[begin:end] @ user_items).tocoo()
        row, item = common.coords
        kept = (row + begin != item) & (common.data >= min_common)
        row, item, count = row[kept], item[kept], common.data[kept]
        scale = popularity[row + begin] ** (1 - discount) * popularity[item] ** discount
        similarity = (count / scale).astype(np.float32)
        return scipy.sparse.coo_array((similarity, (row, item)), shape=common.shape).tocsr()

    return neighbour_tables.strongest_of_sparse(
        rows, user_items.shape[1], keep, neighbour_tables.height(user_items)
    )
