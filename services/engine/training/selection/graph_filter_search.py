"""Selects a graph filter's settings on interactions held out of the training data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy
from numpy.typing import NDArray

from services.engine.training.fitting import DEPTH
from services.engine.training.methods.gf_cf import GraphFilter, degrees, latent_factors, steps
from shared.models import LatentFactors

_MAX_USERS = 3_000
_MIN_USERS = 300
_CELLS = 125_000_000
"""Scores of held-out users that are computed for each setting: bounds the time for wide catalogues."""
_MIN_ITEMS_PER_USER = 5
_HELD_OUT_SHARE = 0.2
_CELLS_PER_BLOCK = 16_000_000
_FACTOR_CELLS = 32_000_000
"""Cells of the factors: 128 MB of float32."""
_TARGET_POWERS = (0.5, 0.4, 0.3, 0.2)
_ALPHA_SHARES = (1.0, 0.5)


def best_filter(
    user_items: scipy.sparse.csr_array, start: GraphFilter
) -> tuple[GraphFilter, dict[str, float]]:
    """Return the best filter of a grid, and the NDCG@25 of each; user_items: CSR float32[users, items].

    A fifth of the items of up to 3,000 users, drawn at random, is predicted from the rest. The grid has
    powers of the degree of the item where a walk ends, the factors' weight or half of it, and twice as many
    factors where they fit into memory.
    """
    random = np.random.default_rng(3)
    candidates = np.flatnonzero(np.diff(user_items.indptr) >= _MIN_ITEMS_PER_USER)
    count = min(_MAX_USERS, max(_MIN_USERS, _CELLS // user_items.shape[1]))
    users = np.sort(random.permutation(candidates)[:count])
    if len(users) == 0:
        return start, {}
    rows = np.repeat(np.arange(user_items.shape[0]), np.diff(user_items.indptr))
    held_out = np.isin(rows, users) & (random.random(len(rows)) < _HELD_OUT_SHARE)
    train = _entries(user_items, ~held_out)
    grid = _grid(start, user_items.shape[1])
    gains = _mean_ndcg(train[users], _entries(user_items, held_out)[users], train, grid)
    tried = {_name(settings): round(gain, 5) for settings, gain in zip(grid, gains, strict=True)}
    return max(grid, key=lambda settings: tried[_name(settings)]), tried


def _grid(start: GraphFilter, items: int) -> list[GraphFilter]:
    """Return the filters to try; the start comes first, so it is kept unless another is better."""
    return [
        replace(start, tastes=count, arrive=arrive, alpha=round(start.alpha * share, 6))
        for count in dict.fromkeys((start.tastes, doubled(start.tastes, items)))
        for arrive in dict.fromkeys((start.arrive, *_TARGET_POWERS))
        for share in _ALPHA_SHARES
    ]


def doubled(factors: int, items: int) -> int:
    """Return twice as many factors if they fit into memory, else as many."""
    return 2 * factors if 2 * factors * items <= _FACTOR_CELLS else factors


def scores(
    histories: scipy.sparse.csr_array,
    user_items: scipy.sparse.csr_array,
    settings: GraphFilter,
    factors: LatentFactors,
) -> NDArray[np.float32]:
    """Return the scores of all items for histories, CSR float32[rows, items]: float32[rows, items]."""
    to_users, to_items = steps(user_items, settings)
    walks = (histories @ to_users @ to_items).toarray()
    latent = (histories @ factors.encoder) @ factors.decoder
    return np.asarray(walks + np.float32(settings.alpha) * latent, np.float32)


def _entries(matrix: scipy.sparse.csr_array, kept: NDArray[np.bool_]) -> scipy.sparse.csr_array:
    """Return the same matrix with some of its entries."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return scipy.sparse.csr_array((matrix.data[kept], (rows[kept], matrix.indices[kept])), shape=matrix.shape)


def _name(settings: GraphFilter) -> str:
    powers = f"leave {settings.leave}, through {settings.through}, arrive {settings.arrive}"
    return f"{powers}, alpha {settings.alpha}, tastes {settings.tastes}"


def _mean_ndcg(
    histories: scipy.sparse.csr_array,
    relevant: scipy.sparse.csr_array,
    train: scipy.sparse.csr_array,
    grid: Sequence[GraphFilter],
) -> list[float]:
    """Return each filter's mean NDCG@25 of the users with relevant items; 0 if there are none."""
    factors = latent_factors(train, max(settings.tastes for settings in grid), approximate=True)
    to_users, to_items = steps(train, replace(grid[0], arrive=0.0))
    _, item_degrees = degrees(train)
    candidates = np.flatnonzero(np.diff(relevant.indptr))
    height = max(1, _CELLS_PER_BLOCK // train.shape[1])
    gains: list[list[NDArray[np.float64]]] = [[] for _ in grid]
    for begin in range(0, len(candidates), height):
        rows = candidates[begin : begin + height]
        block = histories[rows]
        walks = (block @ to_users @ to_items).toarray()
        walks[block.nonzero()] = -np.inf
        for count in {settings.tastes for settings in grid}:
            latent = (block @ factors.encoder[:, :count]) @ factors.decoder[:count]
            for number, settings in enumerate(grid):
                if settings.tastes == count:
                    by_target = (item_degrees**-settings.arrive).astype(np.float32)
                    block_scores = walks * by_target + np.float32(settings.alpha) * latent
                    gains[number].append(_ndcg(block_scores, relevant[rows]))
    return [float(np.concatenate(blocks).mean()) if blocks else 0.0 for blocks in gains]


def _ndcg(block_scores: NDArray[np.float32], relevant: scipy.sparse.csr_array) -> NDArray[np.float64]:
    """Return each row's NDCG@25."""
    discounts = 1 / np.log2(np.arange(DEPTH) + 2)
    ideal = np.cumsum(discounts)
    hits = np.take_along_axis(relevant.toarray(), _top(block_scores), axis=1) > 0
    counts = np.minimum(np.diff(relevant.indptr), DEPTH)
    ndcg: NDArray[np.float64] = (hits * discounts[: hits.shape[1]]).sum(axis=1) / ideal[counts - 1]
    return ndcg


def _top(block_scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return each row's 25 best items, or all if there are fewer."""
    last = min(DEPTH, block_scores.shape[1]) - 1
    top = np.argpartition(-block_scores, last, axis=1)[:, : last + 1]
    order = np.argsort(-np.take_along_axis(block_scores, top, axis=1), axis=1, kind="stable")
    return np.take_along_axis(top, order, axis=1)
