"""Undirected likeness of items: who touched them, and what they say of themselves."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from services.engine.recipes import assembly, tables
from services.engine.recipes.elsewhere import Asked
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.methods import ease, gram
from shared.models import Neighbours

_PRODUCTS_PER_BLOCK = 4_000_000
# What users touched takes four times as much as a cell, while it is held both ways.
_CELLS_PER_INTERACTION = 4
_ALMOST_NOTHING = np.float32(1e-9)
_COLD = np.float32(5)
"""With so many users of the rarer item, what items say counts half."""


def users_by_items(dataset: Dataset) -> sparse.csr_array:
    """1 where a user touched an item; float32, users × items."""
    height, count = len(dataset.user_ids), len(dataset.item_ids)
    lengths, items = np.zeros(height, np.int64), [np.zeros(0, np.int32)]
    for some in dataset.chunks():
        users, theirs = assembly.distinct_pairs(some.users, some.items, count)
        lengths += np.bincount(users, minlength=height)
        items.append(theirs.astype(np.int32))
    places, offsets = np.concatenate(items), assembly.offsets_of(lengths)
    return sparse.csr_array((np.ones(len(places), np.float32), places, offsets), shape=(height, count))


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
    alike = _Likeness(_common(dataset), shrinkage, words if words_weight > 0 else None, words_weight)
    count = len(dataset.item_ids)
    if count <= ease.DENSE_ITEMS:
        return tables.strongest(alike.dense, count, keep)
    return tables.strongest_of_sparse(alike.sparse, count, keep, alike.height)


class _Common(Protocol):
    """How many users each two items have in common: `fame` on the diagonal, the rest in blocks of rows."""

    fame: NDArray[np.float32]
    work: float

    def rows(self, begin: int, end: int) -> sparse.csr_array:
        """Rows begin … end; float32."""
        ...

    def dense(self, begin: int, end: int) -> NDArray[np.float32]:
        """The same as a dense block."""
        ...


def _common(dataset: Dataset) -> _Common:
    """In the way that takes the least memory."""
    if dataset.elsewhere is not None:
        return _Summed(dataset.elsewhere.summed(Asked("common", {})))
    count = len(dataset.item_ids)
    if count <= ease.DENSE_ITEMS and count**2 <= _CELLS_PER_INTERACTION * len(dataset):
        return _Counted(gram.added_up(map(users_by_items, dataset.chunks()), count))
    return _Held(users_by_items(dataset))


class _Held:
    """From users × items in memory, a block at a time."""

    def __init__(self, seen: sparse.csr_array) -> None:
        self._seen = seen
        self._holders = seen.T.tocsr()
        self.fame = np.diff(self._holders.indptr).astype(np.float32)
        self.work = float((np.diff(seen.indptr).astype(np.float64) ** 2).sum())

    def rows(self, begin: int, end: int) -> sparse.csr_array:
        block: sparse.csr_array = self._holders[begin:end] @ self._seen
        return block

    def dense(self, begin: int, end: int) -> NDArray[np.float32]:
        """The same as a dense block."""
        return np.asarray(self.rows(begin, end).toarray(), np.float32)


class _Counted:
    """Counted over pieces of users, of whom none is held any more."""

    def __init__(self, matrix: NDArray[np.float32]) -> None:
        self._matrix = matrix
        self.fame = matrix.diagonal()
        self.work = float(matrix.size)

    def rows(self, begin: int, end: int) -> sparse.csr_array:
        """Rows begin … end; float32."""
        return sparse.csr_array(self.dense(begin, end))

    def dense(self, begin: int, end: int) -> NDArray[np.float32]:
        """The same as a dense block."""
        return self._matrix[begin:end]


class _Summed:
    """As it was summed elsewhere."""

    def __init__(self, matrix: sparse.csr_array) -> None:
        self._matrix = matrix.astype(np.float32)
        self.fame = self._matrix.diagonal()
        self.work = float(matrix.nnz)

    def rows(self, begin: int, end: int) -> sparse.csr_array:
        return self._matrix[begin:end]

    def dense(self, begin: int, end: int) -> NDArray[np.float32]:
        """The same as a dense block."""
        return np.asarray(self.rows(begin, end).toarray(), np.float32)


class _Likeness:
    """Blocks of rows of the likeness, without its diagonal."""

    def __init__(
        self, common: _Common, shrinkage: float, words: sparse.csr_array | None, words_weight: float
    ) -> None:
        self._common = common
        self._fame = common.fame
        self._norms = np.sqrt(np.maximum(self._fame, 1))
        self._shrinkage = np.float32(shrinkage)
        self._words = words
        self._spoken = None if words is None else words.T.tocsr()
        self._words_weight = np.float32(words_weight)

    @property
    def height(self) -> int:
        """How many sparse rows keep a block's work, and so its memory, bounded."""
        work = self._common.work
        if self._spoken is not None:
            work += float((np.diff(self._spoken.indptr).astype(np.float64) ** 2).sum())
        return max(1, int(len(self._fame) * min(1.0, _PRODUCTS_PER_BLOCK / max(work, 1.0))))

    def dense(self, begin: int, end: int) -> NDArray[np.float32]:
        """Rows begin … end as a dense block."""
        row, item = np.arange(begin, end)[:, None], np.arange(len(self._fame))
        alike = self._together(self._common.dense(begin, end), row, item)
        if self._words is not None and self._spoken is not None:
            alike += self._reading((self._words[begin:end] @ self._spoken).toarray(), row, item)
        alike[np.arange(end - begin), np.arange(begin, end)] = 0
        return alike

    def sparse(self, begin: int, end: int) -> sparse.csr_array:
        """The same as a sparse block."""
        common = self._common.rows(begin, end)
        weights = self._together(common.data, tables.rows_of(common) + begin, common.indices)
        alike = sparse.csr_array((weights, common.indices, common.indptr), shape=common.shape)
        if self._words is not None and self._spoken is not None:
            read = self._words[begin:end] @ self._spoken
            read.data = self._reading(read.data, tables.rows_of(read) + begin, read.indices)
            alike = alike + read
        return tables.without_diagonal(alike.tocsr(), begin)

    def _together(
        self, common: NDArray[np.float32], row: NDArray[Any], item: NDArray[Any]
    ) -> NDArray[np.float32]:
        supported = common * common / np.maximum(common + self._shrinkage, _ALMOST_NOTHING)
        return np.asarray(supported / (self._norms[row] * self._norms[item]), np.float32)

    def _reading(
        self, cosine: NDArray[np.float32], row: NDArray[Any], item: NDArray[Any]
    ) -> NDArray[np.float32]:
        rarer = np.minimum(self._fame[row], self._fame[item])
        return np.asarray(cosine * (self._words_weight * _COLD / (_COLD + rarer)), np.float32)
