"""Undirected likeness of items: who touched them, and what they say of themselves."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from services.engine.recipes import assembly, tables
from services.engine.recipes.dataset import Dataset
from shared.models import Neighbours

_PRODUCTS_PER_BLOCK = 20_000_000
_COLD = 5.0
"""With so many users of the rarer item, what items say counts half."""


def users_by_items(dataset: Dataset) -> sparse.csr_array:
    """1 where a user touched an item; float32, users × items."""
    count = len(dataset.item_ids)
    users, items = assembly.distinct_pairs(dataset.users, dataset.items, count)
    return sparse.csr_array(
        (np.ones(len(users), np.float32), (users, items)), shape=(len(dataset.user_ids), count)
    )


def similar(
    dataset: Dataset,
    *,
    shrinkage: float,
    keep: int,
    words: sparse.csr_array | None = None,
    words_weight: float = 0.0,
) -> Neighbours:
    """Each item's most similar items.

    With n_ij common users, items i and j are alike by n_ij / √(n_i n_j) · n_ij / (n_ij + shrinkage),
    the cosine of their users, shrunk where few users support it. To that comes the cosine of their
    words, times `words_weight` and 5 / (5 + min(n_i, n_j)): the less is known of an item's users, the
    more its words count.
    """
    seen = users_by_items(dataset)
    holders = seen.T.tocsr()
    fame = np.diff(holders.indptr)
    norms = np.sqrt(np.maximum(fame, 1)).astype(np.float32)
    spoken = words.T.tocsr() if words is not None and words_weight > 0 else None

    def rows(begin: int, end: int) -> sparse.csr_array:
        block = (holders[begin:end] @ seen).tocoo()
        row, item = block.coords
        cosine = block.data / (norms[row + begin] * norms[item]) * block.data / (block.data + shrinkage)
        parts = [(row, item, cosine)]
        if words is not None and spoken is not None:
            alike = (words[begin:end] @ spoken).tocoo()
            row, item = alike.coords
            rarer = np.minimum(fame[row + begin], fame[item])
            parts.append((row, item, alike.data * words_weight * _COLD / (_COLD + rarer)))
        row, item, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
        other = row + begin != item
        return sparse.coo_array(
            (weight[other].astype(np.float32), (row[other], item[other])), shape=block.shape
        ).tocsr()

    work = float((np.diff(seen.indptr).astype(np.float64) ** 2).sum())
    if spoken is not None:
        work += float((np.diff(spoken.indptr).astype(np.float64) ** 2).sum())
    height = max(1, int(seen.shape[1] * min(1.0, _PRODUCTS_PER_BLOCK / max(work, 1.0))))
    return tables.strongest_of_sparse(rows, seen.shape[1], keep, height)
