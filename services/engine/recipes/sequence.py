"""Directed item-item counts: what people turned to after an item, within a few steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from services.engine.recipes import tables
from shared.models import Neighbours
from shared.models.histories import Occasions

REACH = 10
_AT_ONCE = 2_000_000
_PRODUCTS_PER_BLOCK = 20_000_000


def followers(seen: Occasions, count: int, *, fade: float = 0.8, backward: float = 0.5) -> sparse.csr_array:
    """Decayed counts of pairs at most ten steps apart, as cosines: entry (i, j) is "j after i".

    A pair d steps apart counts fade ** d, its reverse `backward` times that. Both ends are weighted
    by their event types.
    """
    happened = np.bincount(seen.items, weights=seen.weights, minlength=count)
    return both_ways(forward(seen, count, fade), happened, backward)


def forward(seen: Occasions, count: int, fade: float) -> sparse.csr_array:
    """The decayed counts alone, in one direction."""
    counts = _pairs(seen, 0, 0, count, fade)
    for begin, end in _chunks(seen):
        counts = (counts + _pairs(seen, begin, end, count, fade)).tocsr()
    return counts


def both_ways(forward: sparse.csr_array, happened: NDArray[Any], backward: float) -> sparse.csr_array:
    """Counts with their reverse as cosines; `happened` is how often each item occurred."""
    counts: sparse.csr_array = forward + backward * forward.T.tocsr()
    return as_cosines(counts, happened)


def _chunks(seen: Occasions) -> Iterator[tuple[int, int]]:
    """Some millions of occasions at a time, whole users each: what pairs take is bounded by that."""
    begin, total = 0, len(seen.users)
    while begin < total:
        end = min(begin + _AT_ONCE, total)
        end = int(np.searchsorted(seen.users, seen.users[end - 1], side="right"))
        yield begin, end
        begin = end


def _pairs(seen: Occasions, begin: int, end: int, count: int, fade: float) -> sparse.csr_array:
    users, items, strengths = seen.users[begin:end], seen.items[begin:end], seen.weights[begin:end]
    heads, tails, weights = [], [], []
    for step in range(1, REACH + 1):
        same = users[step:] == users[:-step]
        differ = same & (items[step:] != items[:-step])
        heads.append(items[:-step][differ])
        tails.append(items[step:][differ])
        both = strengths[:-step][differ] * strengths[step:][differ]
        weights.append((both * fade**step).astype(np.float32))
    pairs = (np.concatenate(heads), np.concatenate(tails))
    counts: sparse.csr_array = sparse.coo_array(
        (np.concatenate(weights), pairs), shape=(count, count)
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
        block = (shares[begin:end] @ shares).tocoo()
        row, item = block.coords
        other = row + begin != item
        return sparse.coo_array((block.data[other], (row[other], item[other])), shape=block.shape).tocsr()

    height = max(1, _PRODUCTS_PER_BLOCK // max(table.width**2, 1))
    return tables.strongest_of_sparse(rows, count, keep, height)


def as_cosines(counts: sparse.csr_array, occurrences: np.ndarray) -> sparse.csr_array:
    """Counts divided by the root of both items' occurrences."""
    scale = sparse.diags_array((1 / np.sqrt(np.maximum(occurrences, 1e-9))).astype(np.float32))
    cosines: sparse.csr_array = (scale @ counts @ scale).tocsr()
    return cosines
