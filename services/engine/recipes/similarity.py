"""Undirected likeness of items, from who touched them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from services.engine.recipes import assembly, tables
from services.engine.recipes.dataset import Dataset
from shared.models import Neighbours

_PRODUCTS_PER_BLOCK = 20_000_000
_LONGEST = 1_000


def users_by_items(dataset: Dataset) -> sparse.csr_array:
    """1 where a user touched an item; float32, users × items."""
    count = len(dataset.item_ids)
    users, items = assembly.distinct_pairs(dataset.users, dataset.items, count)
    return sparse.csr_array(
        (np.ones(len(users), np.float32), (users, items)), shape=(len(dataset.user_ids), count)
    )


def similar(dataset: Dataset, *, shrinkage: float, keep: int) -> Neighbours:
    """Cosine of the items' users, shrunk towards 0 where few users support it.

    With n_ij common users, entry (i, j) is n_ij / √(n_i n_j) · n_ij / (n_ij + shrinkage).
    """
    seen = users_by_items(dataset)
    return tables.strongest_of_sparse(cosines(seen, shrinkage), seen.shape[1], keep, block_height(seen))


def block_height(seen: sparse.csr_array) -> int:
    """How many rows of seenᵀ · seen keep a block's work, and so its memory, bounded."""
    work = float((np.diff(seen.indptr).astype(np.float64) ** 2).sum())
    return max(1, int(seen.shape[1] * min(1.0, _PRODUCTS_PER_BLOCK / max(work, 1.0))))


def cosines(seen: sparse.csr_array, shrinkage: float) -> Callable[[int, int], sparse.csr_array]:
    """A maker of blocks of the similarity matrix, without its diagonal."""
    holders = seen.T.tocsr()
    norms: NDArray[np.float32] = np.sqrt(np.maximum(np.diff(holders.indptr), 1)).astype(np.float32)

    def rows(begin: int, end: int) -> sparse.csr_array:
        block = (holders[begin:end] @ seen).tocoo()
        row, item = block.coords
        other = row + begin != item
        row, item, common = row[other], item[other], block.data[other]
        cosine = common / (norms[row + begin] * norms[item]) * common / (common + shrinkage)
        return sparse.coo_array((cosine, (row, item)), shape=block.shape).tocsr()

    return rows
