"""Directed item-item counts: what people turned to after an item, within a few steps."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from shared.models.histories import Occasions

REACH = 10


def followers(seen: Occasions, count: int, *, fade: float = 0.8, backward: float = 0.5) -> sparse.csr_array:
    """Decayed counts of pairs at most ten steps apart, as cosines: entry (i, j) is "j after i".

    A pair d steps apart counts fade ** d, its reverse `backward` times that. Both ends are weighted
    by their event types.
    """
    heads, tails, weights = [], [], []
    for step in range(1, REACH + 1):
        same = seen.users[step:] == seen.users[:-step]
        differ = same & (seen.items[step:] != seen.items[:-step])
        heads.append(seen.items[:-step][differ])
        tails.append(seen.items[step:][differ])
        both = seen.weights[:-step][differ] * seen.weights[step:][differ]
        weights.append((both * fade**step).astype(np.float32))
    forward = sparse.coo_array(
        (np.concatenate(weights), (np.concatenate(heads), np.concatenate(tails))),
        shape=(count, count),
    ).tocsr()
    counts = forward + backward * forward.T.tocsr()
    return as_cosines(counts, np.bincount(seen.items, weights=seen.weights, minlength=count))


def as_cosines(counts: sparse.csr_array, occurrences: np.ndarray) -> sparse.csr_array:
    """Counts divided by the root of both items' occurrences."""
    scale = sparse.diags_array((1 / np.sqrt(np.maximum(occurrences, 1e-9))).astype(np.float32))
    cosines: sparse.csr_array = (scale @ counts @ scale).tocsr()
    return cosines
