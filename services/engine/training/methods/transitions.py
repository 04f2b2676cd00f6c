"""Directed item-item counts: what people turned to after an item, within a few steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from services.engine.recipes import tables
from shared.models import Neighbours
from shared.models.histories import WeightedEvents

REACH = 10
_PAIRS_AT_ONCE = 20_000_000
_PRODUCTS_PER_BLOCK = 4_000_000


def at_once(reach: int) -> int:
    """How many occasions make a chunk, so that what its pairs take is bounded."""
    return max(1, _PAIRS_AT_ONCE // reach)


def followers(
    chunks: Iterable[WeightedEvents],
    count: int,
    *,
    fade: float = 0.8,
    backward: float = 0.5,
    reach: int = REACH,
    arrive: float = 0.5,
) -> sparse.csr_array:
    """Decayed counts of pairs at most `reach` steps apart: entry (i, j) is "j after i".

    Chunks hold whole users. A pair d steps apart counts fade ** d, its reverse `backward` times that. Both
    ends are weighted by their event types. Counts are divided by the root of i's occurrences and by j's to
    the power of `arrive`: with ½ they are cosines, with less they favour what is popular.
    """
    return both_ways(*forward(chunks, count, fade, reach), backward, arrive)


def forward(
    chunks: Iterable[WeightedEvents], count: int, fade: float, reach: int = REACH
) -> tuple[sparse.csr_array, NDArray[np.float64]]:
    """The decayed counts alone, in one direction; and how often each item occurred, by its weights."""
    counts: sparse.csr_array | None = None
    happened = np.zeros(count)
    for seen in chunks:
        more = _pairs(seen, count, fade, reach)
        counts = more if counts is None else (counts + more).tocsr()
        happened += np.bincount(seen.items, weights=seen.weights, minlength=count)
    nothing: Any = sparse.csr_array((count, count), dtype=np.float32)
    return nothing if counts is None else counts, happened


def both_ways(
    forward: sparse.csr_array, happened: NDArray[Any], backward: float, arrive: float = 0.5
) -> sparse.csr_array:
    """Counts with their reverse, divided by how often both items `happened`."""
    counts: sparse.csr_array = forward + backward * forward.T.tocsr()
    fame = np.maximum(happened, 1e-9).astype(np.float64)
    from_row = sparse.diags_array((fame**-0.5).astype(np.float32))
    to_column = sparse.diags_array((fame**-arrive).astype(np.float32))
    divided: sparse.csr_array = (from_row @ counts @ to_column).tocsr()
    return divided


def _pairs(seen: WeightedEvents, count: int, fade: float, reach: int) -> sparse.csr_array:
    users, items, strengths = seen.users, seen.items, seen.weights
    # As many as there may be: of what stays empty, nothing takes memory.
    most = reach * len(users)
    heads, tails, weights = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.float32)
    end = 0
    for step in range(1, reach + 1):
        same = users[step:] == users[:-step]
        differ = same & (items[step:] != items[:-step])
        both = strengths[:-step][differ] * strengths[step:][differ]
        some = slice(end, end := end + len(both))
        heads[some], tails[some] = items[:-step][differ], items[step:][differ]
        weights[some] = both * fade**step
    counts: sparse.csr_array = sparse.coo_array(
        (weights[:end], (heads[:end], tails[:end])), shape=(count, count)
    ).tocsr()
    return counts


def two_steps(table: Neighbours, keep: int) -> Neighbours:
    """What follows what follows an item: each item's shares of its neighbours, taken twice.

    It reaches items that an item was never seen with, which is most of a wide catalogue.
    """
    once = tables.matrix(table)
    count = once.shape[0]
    totals = np.maximum(np.asarray(once.sum(axis=1)).ravel(), 1e-9)
    shares = (sparse.diags_array((1 / totals).astype(np.float32)) @ once).tocsr()

    def rows(begin: int, end: int) -> sparse.csr_array:
        return tables.without_diagonal((shares[begin:end] @ shares).tocsr(), begin)

    height = max(1, _PRODUCTS_PER_BLOCK // max(table.width**2, 1))
    return tables.strongest_of_sparse(rows, count, keep, height)
