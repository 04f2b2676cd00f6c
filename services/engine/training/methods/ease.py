"""EASE: the item-item weights that best rebuild every user from the user's other items.

Harald Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", 2019: with G = XᵀX + λI and
P = G⁻¹, the weights are −P_ij / P_jj off the diagonal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from services.engine.recipes import tables
from services.engine.training.methods import gram
from shared.models import Neighbours

DENSE_ITEMS = 15_000
"""Beyond this many items a dense n × n matrix takes a gigabyte or more, and is never built."""

_DENSE_CELLS = 200_000_000


def fits(users: int, items: int) -> bool:
    """Whether the inverse is affordable, in items or, when those are fewer, in users."""
    return items <= DENSE_ITEMS or (users <= 5_000 and users * items <= _DENSE_CELLS)


def weights(seen: sparse.csr_array, ridge: float, keep: int) -> Neighbours:
    """Each item's `keep` strongest weights; `seen` is users × items, float32."""
    users, items = seen.shape
    if users < items:
        return _by_users(seen, ridge, keep)
    return of_gram(gram.added_up([seen], items), ridge, keep)


def of_gram(together: NDArray[np.float32], ridge: float, keep: int) -> Neighbours:
    """The same from XᵀX, which may have been summed anywhere. Overwrites it."""
    items = len(together)
    together[np.diag_indices(items)] += ridge
    inverse = _inverse(together)
    scale = (-1 / inverse.diagonal()).astype(np.float32)
    np.fill_diagonal(inverse, 0)
    return tables.strongest(lambda begin, end: inverse[begin:end] * scale, items, keep)


def _by_users(seen: sparse.csr_array, ridge: float, keep: int) -> Neighbours:
    """The same through the users' matrix (Woodbury), for more items than users."""
    users, items = seen.shape
    between = (seen @ seen.T).toarray().astype(np.float32)
    between[np.diag_indices(users)] += ridge
    half = np.ascontiguousarray(seen.T.dot(_inverse(between)).T)
    transposed = seen.T.tocsr()
    diagonal = np.asarray(seen.multiply(half).sum(axis=0)).ravel()
    scale = (1 / np.maximum(1 - diagonal, 1e-6)).astype(np.float32)

    def rows(begin: int, end: int) -> NDArray[np.float32]:
        block = (transposed[begin:end] @ half) * scale
        block[np.arange(end - begin), np.arange(begin, end)] = 0
        return np.asarray(block, np.float32)

    return tables.strongest(rows, items, keep)


def _inverse(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inverse of a symmetric positive definite matrix, in its own memory."""
    factor, failed = linalg.lapack.spotrf(matrix.T, lower=True, overwrite_a=True, clean=False)
    if failed:
        raise ArithmeticError("The item matrix is not positive definite; the ridge is too small.")
    inverse, _ = linalg.lapack.spotri(factor, lower=True, overwrite_c=True)
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
