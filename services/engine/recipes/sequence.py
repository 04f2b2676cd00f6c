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
_PAIRS_AT_ONCE = 20_000_000
_PRODUCTS_PER_BLOCK = 20_000_000


def followers(
    seen: Occasions,
    count: int,
    *,
    fade: float = 0.8,
    backward: float = 0.5,
    reach: int = REACH,
    arrive: float = 0.5,
) -> sparse.csr_array:
    """Decayed counts of pairs at most `reach` steps apart: entry (i, j) is "j after i".

    A pair d steps apart counts fade ** d, its reverse `backward` times that. Both ends are weighted
    by their event types. Counts are divided by the root of i's occurrences and by j's to the power of
    `arrive`: with ½ they are cosines, with less they favour what is popular.
    """
    happened = np.bincount(seen.items, weights=seen.weights, minlength=count)
    return both_ways(forward(seen, count, fade, reach), happened, backward, arrive)


def forward(seen: Occasions, count: int, fade: float, reach: int = REACH) -> sparse.csr_array:
    """The decayed counts alone, in one direction."""
    counts = _pairs(seen, (0, 0), count, fade, reach)
    for chunk in _chunks(seen, max(1, _PAIRS_AT_ONCE // reach)):
        counts = (counts + _pairs(seen, chunk, count, fade, reach)).tocsr()
    return counts


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


def _chunks(seen: Occasions, at_once: int) -> Iterator[tuple[int, int]]:
    """So many occasions at a time, whole users each: what pairs take is bounded by that."""
    begin, total = 0, len(seen.users)
    while begin < total:
        end = min(begin + at_once, total)
        end = int(np.searchsorted(seen.users, seen.users[end - 1], side="right"))
        yield begin, end
        begin = end


def _pairs(seen: Occasions, chunk: tuple[int, int], count: int, fade: float, reach: int) -> sparse.csr_array:
    some = slice(*chunk)
    users, items, strengths = seen.users[some], seen.items[some], seen.weights[some]
    heads, tails, weights = [], [], []
    for step in range(1, reach + 1):
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
