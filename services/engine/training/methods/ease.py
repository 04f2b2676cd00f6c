"""EASE: the item-item weights that best reconstruct each user's items from the user's other items.

Harald Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", 2019: with G = XᵀX + λI and
P = G⁻¹, the weights are −P_ij / P_jj off the diagonal.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from services.engine.training.methods import neighbour_tables
from services.engine.training.methods.gram import gram_matrix
from shared.models import Neighbours

DENSE_ITEMS = 15_000
"""Beyond this many items a dense float32[items, items] takes 0.9 GB or more, and is never built."""

_DENSE_USERS = 5_000
_DENSE_CELLS = 200_000_000
"""Bounds of the way through users: 0.1 GB for users × users, 0.8 GB for users × items."""


def fits(users: int, items: int) -> bool:
    """Return whether the inverse is affordable, in items or, when those are fewer, in users."""
    return items <= DENSE_ITEMS or (users <= _DENSE_USERS and users * items <= _DENSE_CELLS)


def ease(user_items: scipy.sparse.csr_array, ridge: float, keep: int) -> Neighbours:
    """Return each item's `keep` strongest weights; user_items: CSR float32[users, items].

    Raises ArithmeticError if the ridge is too small for the matrix to be positive definite.
    """
    users, items = user_items.shape
    if users < items:
        return _by_users(user_items, ridge, keep)
    return ease_of_gram(gram_matrix([user_items], items), ridge, keep)


def ease_of_gram(gram: NDArray[np.float32], ridge: float, keep: int) -> Neighbours:
    """Return the same from XᵀX, float32[items, items], which is overwritten."""
    items = len(gram)
    gram[np.diag_indices(items)] += ridge
    inverse = _inverse(gram)
    scale = (-1 / inverse.diagonal()).astype(np.float32)
    np.fill_diagonal(inverse, 0)
    return neighbour_tables.strongest(lambda begin, end: inverse[begin:end] * scale, items, keep)


def _by_users(user_items: scipy.sparse.csr_array, ridge: float, keep: int) -> Neighbours:
    """Return the same through XXᵀ (Woodbury), for more items than users."""
    users, items = user_items.shape
    user_gram = (user_items @ user_items.T).toarray().astype(np.float32)
    user_gram[np.diag_indices(users)] += ridge
    half = np.ascontiguousarray(user_items.T.dot(_inverse(user_gram)).T)
    transposed = user_items.T.tocsr()
    diagonal = np.asarray(user_items.multiply(half).sum(axis=0)).ravel()
    scale = (1 / np.maximum(1 - diagonal, 1e-6)).astype(np.float32)

    def rows(begin: int, end: int) -> NDArray[np.float32]:
        """Return a block of rows: float32[rows, items]."""
        block = (transposed[begin:end] @ half) * scale
        block[np.arange(end - begin), np.arange(begin, end)] = 0
        return np.asarray(block, np.float32)

    return neighbour_tables.strongest(rows, items, keep)


def _inverse(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the inverse of a symmetric positive definite matrix, in its own memory."""
    factor, failed = scipy.linalg.lapack.spotrf(matrix.T, lower=True, overwrite_a=True, clean=False)
    if failed:
        raise ArithmeticError("The item matrix is not positive definite; the ridge is too small.")
    inverse, _ = scipy.linalg.lapack.spotri(factor, lower=True, overwrite_c=True)
    result: NDArray[np.float32] = inverse.T
    return _mirrored(result)


def _mirrored(half: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill the lower triangle from the upper one, block by block."""
    count, height = len(half), 512
    for begin in range(0, count, height):
        end = min(begin + height, count)
        square = half[begin:end, begin:end]
        upper = np.triu(square)
        half[begin:end, begin:end] = upper + np.triu(square, 1).T
        half[end:, begin:end] = half[begin:end, end:].T
    return half
