"""GF-CF: a graph filter over users and items, in closed form.

Yifei Shen and others, "How Powerful is Graph Convolution for Recommendation?", 2021: with the user-item
matrix R̃, divided by the roots of both degrees, a history r has the scores r R̃ᵀR̃ + α r D^(−½) V Vᵀ D^½,
where V has R̃'s first right singular vectors and D the items' degrees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import NDArray

from shared.models import LatentFactors, TwoStepWalk

_DENSE_SIDE = 400
"""Up to this size of the smaller side a dense SVD is fast, and exact."""
_SPARE_VECTORS = 64
"""Additional vectors of the subspace iteration, which make the wanted ones converge. Arbitrary."""
_ITERATIONS = 6
_ROWS_PER_BLOCK = 50_000


@dataclass(frozen=True)
class GraphFilter:
    """The settings of a graph filter; a model's notes keep them under these names.

    A step from an item is multiplied by its degree to the power of −`leave`, one through a user by
    −`through`, one to an item by −`arrive`; the paper's are ½, 1 and ½. `alpha` is the weight of the latent
    factors, `tastes` their number.
    """

    leave: float = 0.5
    through: float = 1.0
    arrive: float = 0.5
    alpha: float = 0.3
    tastes: int = 256


def random_walk(settings: GraphFilter, factors: int) -> GraphFilter:
    """Return settings whose walks are in the space of the factors: r D^(−½) (R̃ᵀR̃ + α V Vᵀ) D^½.

    The paper divides the walks' scores by the root of the degree once more. Without that it is a random walk:
    from an item to each of its users, and from a user to each of the items, with equal probability.
    """
    return replace(settings, leave=1.0, through=1.0, arrive=0.0, tastes=factors)


def degrees(user_items: scipy.sparse.csr_array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the degrees of users and of items, at least 1: float64[users] and float64[items]."""
    users = np.diff(user_items.indptr)
    items = np.bincount(user_items.indices, minlength=user_items.shape[1])
    return np.maximum(users, 1).astype(np.float64), np.maximum(items, 1).astype(np.float64)


def steps(
    user_items: scipy.sparse.csr_array, settings: GraphFilter
) -> tuple[scipy.sparse.csr_array, scipy.sparse.csr_array]:
    """Return the steps to users, CSR float32[items, users], and to items, CSR float32[users, items]."""
    users, items = degrees(user_items)
    from_items = scipy.sparse.diags_array(items**-settings.leave)
    to_users = from_items @ user_items.T @ scipy.sparse.diags_array(users**-settings.through)
    to_items = user_items @ scipy.sparse.diags_array(items**-settings.arrive)
    return to_users.tocsr().astype(np.float32), to_items.tocsr().astype(np.float32)


def two_step_walk(user_items: scipy.sparse.csr_array, settings: GraphFilter) -> TwoStepWalk:
    """Return the first summand of the score; user_items: CSR float32[users, items]."""
    to_users, to_items = steps(user_items, settings)
    return TwoStepWalk(
        user_offsets=to_users.indptr.astype(np.int64),
        users=to_users.indices.astype(np.int32),
        user_weights=to_users.data,
        offsets=to_items.indptr.astype(np.int64),
        items=to_items.indices.astype(np.int32),
        item_weights=to_items.data,
    )


def latent_factors(
    user_items: scipy.sparse.csr_array, count: int, *, approximate: bool = False
) -> LatentFactors:
    """Return the second summand of the score, without its weight; user_items: CSR float32[users, items].

    Computing approximate factors takes a fifth of the time for several hundred.
    """
    users, items = degrees(user_items)
    normalized = (
        scipy.sparse.diags_array(users**-0.5) @ user_items @ scipy.sparse.diags_array(items**-0.5)
    ).tocsr()
    count = min(count, min(user_items.shape) - 1)
    singular_vectors = _approximate_right_singular if approximate else _right_singular
    vectors = singular_vectors(normalized.astype(np.float32), count)
    root = np.sqrt(items)[:, None]
    return LatentFactors(
        (vectors / root).astype(np.float32), np.ascontiguousarray((vectors * root).T, np.float32)
    )


def _right_singular(matrix: scipy.sparse.csr_array, count: int) -> NDArray[np.float32]:
    """Return the right singular vectors of the largest singular values as columns, deterministically."""
    if count < 1:
        return np.zeros((matrix.shape[1], 0), np.float32)
    if min(matrix.shape) <= _DENSE_SIDE:
        _, _, rows = np.linalg.svd(matrix.toarray(), full_matrices=False)
        return np.asarray(rows[:count].T, np.float32)
    start = np.random.default_rng(0).random(min(matrix.shape)).astype(np.float32)
    _, values, rows = scipy.sparse.linalg.svds(matrix, count, v0=start)
    return np.asarray(rows[np.argsort(-values)].T, np.float32)


def _approximate_right_singular(matrix: scipy.sparse.csr_array, count: int) -> NDArray[np.float32]:
    """Return them by subspace iteration, largest first; those of nearly equal values may be mixed.

    Nathan Halko and others, "Finding Structure with Randomness", 2011, algorithm 4.4.
    """
    width = count + _SPARE_VECTORS
    if count < 1 or width >= min(matrix.shape) or min(matrix.shape) <= _DENSE_SIDE:
        return _right_singular(matrix, count)
    blocks = [matrix[begin : begin + _ROWS_PER_BLOCK] for begin in range(0, matrix.shape[0], _ROWS_PER_BLOCK)]
    basis = np.random.default_rng(0).standard_normal((matrix.shape[1], width)).astype(np.float32)
    for _ in range(_ITERATIONS):
        image = np.zeros_like(basis)
        for block in blocks:
            image += block.T @ np.ascontiguousarray(block @ basis)
        basis = np.ascontiguousarray(scipy.linalg.qr(image, mode="economic", overwrite_a=True)[0])
    within = np.zeros((width, width))
    for block in blocks:
        projected = block @ basis
        within += projected.T @ projected
    _, rotation = np.linalg.eigh(within)
    return np.asarray(basis @ rotation[:, ::-1][:, :count].astype(np.float32))
