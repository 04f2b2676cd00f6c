"""GF-CF: a graph filter over users and items, in closed form.

Yifei Shen and others, "How Powerful is Graph Convolution for Recommendation?", 2021: with the user-item
matrix divided by the roots of both degrees, R̃, a history scores r R̃ᵀR̃ + α r D^(−½) V Vᵀ D^½, where V
holds R̃'s first right singular vectors and D the items' degrees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse.linalg import svds

from shared.models import LatentFactors, TwoStepWalk

_DENSE_SIDE = 400
_SPARE_VECTORS = 64
_ITERATIONS = 6
_ROWS_AT_ONCE = 50_000


@dataclass(frozen=True)
class Filter:
    """The settings of a graph filter.

    A step from an item counts its degree to the power of −`leave`, one through a user −`through`, one to an
    item −`arrive`; the paper's are ½, 1 and ½. `alpha` is the weight of the `tastes` main tastes.
    """

    leave: float = 0.5
    through: float = 1.0
    arrive: float = 0.5
    alpha: float = 0.3
    tastes: int = 256


def even(settings: Filter, tastes: int) -> Filter:
    """The walks in the same space as the tastes: r D^(−½) (R̃ᵀR̃ + α V Vᵀ) D^½, with as many tastes.

    The paper divides the walks' scores by the root of the degree once more. Without that a walk is one of a
    random walker: it leaves an item for each of its users, and a user for each of the items, alike.
    """
    return replace(settings, leave=1.0, through=1.0, arrive=0.0, tastes=tastes)


def degrees(seen: sparse.csr_array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of users and of items, at least 1; `seen` is users × items."""
    users = np.diff(seen.indptr)
    items = np.bincount(seen.indices, minlength=seen.shape[1])
    return np.maximum(users, 1).astype(np.float64), np.maximum(items, 1).astype(np.float64)


def steps(seen: sparse.csr_array, settings: Filter) -> tuple[sparse.csr_array, sparse.csr_array]:
    """From items to users, and from users to items, float32."""
    users, items = degrees(seen)
    there = sparse.diags_array(items**-settings.leave) @ seen.T @ sparse.diags_array(users**-settings.through)
    back = seen @ sparse.diags_array(items**-settings.arrive)
    return there.tocsr().astype(np.float32), back.tocsr().astype(np.float32)


def walks(seen: sparse.csr_array, settings: Filter) -> TwoStepWalk:
    """The first part of the score."""
    there, back = steps(seen, settings)
    return TwoStepWalk(
        user_offsets=there.indptr.astype(np.int64),
        users=there.indices.astype(np.int32),
        user_weights=there.data,
        offsets=back.indptr.astype(np.int64),
        items=back.indices.astype(np.int32),
        item_weights=back.data,
    )


def tastes(seen: sparse.csr_array, count: int, *, roughly: bool = False) -> LatentFactors:
    """The second part, without its weight; `roughly` takes a fifth of the time for several hundred tastes."""
    users, items = degrees(seen)
    even = (sparse.diags_array(users**-0.5) @ seen @ sparse.diags_array(items**-0.5)).tocsr()
    count = min(count, min(seen.shape) - 1)
    find = _main_directions if roughly else _right_singular
    vectors = find(even.astype(np.float32), count)
    root = np.sqrt(items)[:, None]
    return LatentFactors(
        (vectors / root).astype(np.float32), np.ascontiguousarray((vectors * root).T, np.float32)
    )


def _right_singular(matrix: sparse.csr_array, count: int) -> NDArray[np.float32]:
    """The right singular vectors of the largest singular values as columns; the same ones every time."""
    if count < 1:
        return np.zeros((matrix.shape[1], 0), np.float32)
    if min(matrix.shape) <= _DENSE_SIDE:
        _, _, rows = np.linalg.svd(matrix.toarray(), full_matrices=False)
        return np.asarray(rows[:count].T, np.float32)
    start = np.random.default_rng(0).random(min(matrix.shape)).astype(np.float32)
    _, values, rows = svds(matrix, count, v0=start)
    return np.asarray(rows[np.argsort(-values)].T, np.float32)


def _main_directions(matrix: sparse.csr_array, count: int) -> NDArray[np.float32]:
    """The same by subspace iteration, largest first: those of nearly equal values may be mixed up.

    Nathan Halko and others, "Finding Structure with Randomness", 2011, algorithm 4.4.
    """
    width = count + _SPARE_VECTORS
    if count < 1 or width >= min(matrix.shape) or min(matrix.shape) <= _DENSE_SIDE:
        return _right_singular(matrix, count)
    blocks = [matrix[begin : begin + _ROWS_AT_ONCE] for begin in range(0, matrix.shape[0], _ROWS_AT_ONCE)]
    basis = np.random.default_rng(0).standard_normal((matrix.shape[1], width)).astype(np.float32)
    for _ in range(_ITERATIONS):
        reached = np.zeros_like(basis)
        for block in blocks:
            reached += block.T @ np.ascontiguousarray(block @ basis)
        basis = np.ascontiguousarray(linalg.qr(reached, mode="economic", overwrite_a=True)[0])
    within = np.zeros((width, width))
    for block in blocks:
        image = block @ basis
        within += image.T @ image
    _, turns = np.linalg.eigh(within)
    return np.asarray(basis @ turns[:, ::-1][:, :count].astype(np.float32))
