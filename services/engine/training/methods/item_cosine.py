"""Cosine similarity of items by their users, shrunk by support, with the cosine of their words added."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import scipy
from numpy.typing import NDArray

from services.engine.training.dataset.aggregates import MatrixRequest
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.methods import neighbour_tables
from services.engine.training.methods.ease import DENSE_ITEMS
from services.engine.training.methods.gram import gram_matrix
from services.engine.training.methods.user_item_matrix import binary_matrix
from shared.models import Neighbours

_PRODUCTS_PER_BLOCK = 4_000_000
_CELLS_PER_INTERACTION = 4
"""A (user, item) pair, kept by row and by column, takes four times as much memory as a dense cell."""
_TINY = np.float32(1e-9)
_COLD = np.float32(5)
"""With this many users of the rarer item, words count half. Arbitrary."""


def item_cosine(
    dataset: Dataset,
    *,
    shrinkage: float,
    keep: int,
    words: scipy.sparse.csr_array | None = None,
    words_weight: float = 0.0,
) -> Neighbours:
    """Return each item's `keep` most similar items; words: CSR float32[items, words].

    With n_ij common users, the similarity of i and j is n_ij / √(n_i n_j) · n_ij / (n_ij + shrinkage): the
    cosine of their users, shrunk where few users support it. The cosine of their words is added to it, times
    `words_weight` and 5 / (5 + min(n_i, n_j)): the fewer users an item has, the more its words count.
    """
    cooccurrence = _cooccurrence(dataset)
    similarity = _Similarity(cooccurrence, shrinkage, words if words_weight > 0 else None, words_weight)
    count = len(dataset.item_ids)
    if count <= DENSE_ITEMS:
        return neighbour_tables.strongest(similarity.dense, count, keep)
    return neighbour_tables.strongest_of_sparse(similarity.sparse, count, keep, similarity.height)


class _Cooccurrence(Protocol):
    """The numbers of users that two items have in common, in blocks of rows; `popularity` is the diagonal.

    `work` is the number of products that all rows cost.
    """

    popularity: NDArray[np.float32]
    work: float

    def rows(self, begin: int, end: int) -> scipy.sparse.csr_array:
        """Return the rows `begin` to `end`: CSR float32[rows, items]."""
        ...

    def dense(self, begin: int, end: int) -> NDArray[np.float32]:
        """Return the same as a dense block: float32[rows, items]."""
        ...


def _cooccurrence(dataset: Dataset) -> _Cooccurrence:
    """Count in the way that takes the least memory."""
    if dataset.aggregates is not None:
        return _SummedCooccurrence(dataset.aggregates.matrix(MatrixRequest("cooccurrence", {})))
    count = len(dataset.item_ids)
    if count <= DENSE_ITEMS and count**2 <= _CELLS_PER_INTERACTION * len(dataset):
        return _DenseCooccurrence(gram_matrix(map(binary_matrix, dataset.chunks()), count))
    return _LazyCooccurrence(binary_matrix(dataset))


class _LazyCooccurrence:
    """Multiplies users × items a block at a time."""

    def __init__(self, user_items: scipy.sparse.csr_array) -> None:
        self._user_items = user_items
        self._item_users = user_items.T.tocsr()
        self.popularity = np.diff(self._item_users.indptr).astype(np.float32)
        self.work = float((np.diff(user_items.indptr).astype(np.float64) ** 2).sum())

    def rows(self, begin: int, end: int) -> scipy.sparse.csr_array:
        """Return a block of rows: CSR float32[rows, items]."""
        block: scipy.sparse.csr_array = self._item_users[begin:end] @ self._user_items
        return block

    def dense(self, begin: int, end: int) -> NDArray[np.float32]:
        """Return the same as a dense block: float32[rows, items]."""
        return np.asarray(self.rows(begin, end).toarray(), np.float32)


class _DenseCooccurrence:
    """A dense matrix that was summed over chunks of users."""

    def __init__(self, matrix: NDArray[np.float32]) -> None:
        self._matrix = matrix
        self.popularity = matrix.diagonal()
        self.work = float(matrix.size)

    def rows(self, begin: int, end: int) -> scipy.sparse.csr_array:
        """Return a block of rows: CSR float32[rows, items]."""
        return scipy.sparse.csr_array(self.dense(begin, end))

    def dense(self, begin: int, end: int) -> NDArray[np.float32]:
        """Return the same as a dense block: float32[rows, items]."""
        return self._matrix[begin:end]


class _SummedCooccurrence:
    """A sparse matrix that another backend summed."""

    def __init__(self, matrix: scipy.sparse.csr_array) -> None:
        self._matrix = matrix.astype(np.float32)
        self.popularity = self._matrix.diagonal()
        self.work = float(matrix.nnz)

    def rows(self, begin: int, end: int) -> scipy.sparse.csr_array:
        """Return a block of rows: CSR float32[rows, items]."""
        return self._matrix[begin:end]

    def dense(self, begin: int, end: int) -> NDArray[np.float32]:
        """Return the same as a dense block: float32[rows, items]."""
        return np.asarray(self.rows(begin, end).toarray(), np.float32)


class _Similarity:
    """Blocks of rows of the similarity, without its diagonal."""

    def __init__(
        self,
        cooccurrence: _Cooccurrence,
        shrinkage: float,
        words: scipy.sparse.csr_array | None,
        words_weight: float,
    ) -> None:
        self._cooccurrence = cooccurrence
        self._popularity = cooccurrence.popularity
        self._norms = np.sqrt(np.maximum(self._popularity, 1))
        self._shrinkage = np.float32(shrinkage)
        self._words = words
        self._word_items = None if words is None else words.T.tocsr()
        self._words_weight = np.float32(words_weight)

    @property
    def height(self) -> int:
        """Return the number of sparse rows that bounds the work of a block, and so its memory."""
        work = self._cooccurrence.work
        if self._word_items is not None:
            work += float((np.diff(self._word_items.indptr).astype(np.float64) ** 2).sum())
        return max(1, int(len(self._popularity) * min(1.0, _PRODUCTS_PER_BLOCK / max(work, 1.0))))

    def dense(self, begin: int, end: int) -> NDArray[np.float32]:
        """Return the rows `begin` to `end` as a dense block: float32[rows, items]."""
        row, item = np.arange(begin, end)[:, None], np.arange(len(self._popularity))
        similarity = self._of_users(self._cooccurrence.dense(begin, end), row, item)
        if self._words is not None and self._word_items is not None:
            similarity += self._of_words((self._words[begin:end] @ self._word_items).toarray(), row, item)
        similarity[np.arange(end - begin), np.arange(begin, end)] = 0
        return similarity

    def sparse(self, begin: int, end: int) -> scipy.sparse.csr_array:
        """Return the same as a sparse block: CSR float32[rows, items]."""
        common = self._cooccurrence.rows(begin, end)
        weights = self._of_users(common.data, neighbour_tables.rows_of(common) + begin, common.indices)
        similarity = scipy.sparse.csr_array((weights, common.indices, common.indptr), shape=common.shape)
        if self._words is not None and self._word_items is not None:
            words = self._words[begin:end] @ self._word_items
            words.data = self._of_words(words.data, neighbour_tables.rows_of(words) + begin, words.indices)
            similarity = similarity + words
        return neighbour_tables.without_diagonal(similarity.tocsr(), begin)

    def _of_users(
        self, common: NDArray[np.float32], row: NDArray[Any], item: NDArray[Any]
    ) -> NDArray[np.float32]:
        supported = common * common / np.maximum(common + self._shrinkage, _TINY)
        return np.asarray(supported / (self._norms[row] * self._norms[item]), np.float32)

    def _of_words(
        self, cosine: NDArray[np.float32], row: NDArray[Any], item: NDArray[Any]
    ) -> NDArray[np.float32]:
        rarer = np.minimum(self._popularity[row], self._popularity[item])
        return np.asarray(cosine * (self._words_weight * _COLD / (_COLD + rarer)), np.float32)
