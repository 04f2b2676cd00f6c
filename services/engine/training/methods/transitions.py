"""Directed item-item counts: which items users turn to after an item, within a few steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from services.engine.training.methods import neighbour_tables
from shared.models import Neighbours
from shared.models.histories import WeightedEvents

REACH = 10
"""The default number of steps within which a pair of events counts."""
_PAIRS_PER_CHUNK = 20_000_000
"""Pairs of events that are held at once: 240 MB."""
_PRODUCTS_PER_BLOCK = 4_000_000


def events_per_chunk(reach: int) -> int:
    """Return how many events make a chunk whose pairs take bounded memory."""
    return max(1, _PAIRS_PER_CHUNK // reach)


def transition_counts(
    chunks: Iterable[WeightedEvents],
    item_count: int,
    *,
    decay: float = 0.8,
    backward: float = 0.5,
    reach: int = REACH,
    target_norm: float = 0.5,
) -> scipy.sparse.csr_array:
    """Return normalized counts of pairs at most `reach` steps apart: CSR float32[items, items].

    Entry (i, j) is for "j after i". Chunks have whole users. A pair d steps apart counts decay ** d, its
    reverse `backward` times that, and both events are weighted by their types. Counts are divided by the root
    of i's occurrences and by j's to the power of `target_norm`: with ½ they are cosines, with less they
    favour popular items.
    """
    return normalized(*forward_counts(chunks, item_count, decay, reach), backward, target_norm)


def forward_counts(
    chunks: Iterable[WeightedEvents], item_count: int, decay: float, reach: int = REACH
) -> tuple[scipy.sparse.csr_array, NDArray[np.float64]]:
    """Return decayed counts in one direction, CSR float32[items, items], and occurrences, float64[items].

    An occurrence counts with the weight of its event.
    """
    counts: scipy.sparse.csr_array | None = None
    occurrences = np.zeros(item_count)
    for events in chunks:
        chunk_counts = _pair_counts(events, item_count, decay, reach)
        counts = chunk_counts if counts is None else (counts + chunk_counts).tocsr()
        occurrences += np.bincount(events.items, weights=events.weights, minlength=item_count)
    empty: Any = scipy.sparse.csr_array((item_count, item_count), dtype=np.float32)
    return empty if counts is None else counts, occurrences


def normalized(
    forward: scipy.sparse.csr_array, occurrences: NDArray[Any], backward: float, target_norm: float = 0.5
) -> scipy.sparse.csr_array:
    """Return counts with their reverse, divided by both items' occurrences: CSR float32[items, items].

    forward: CSR float[items, items]; occurrences: float[items].
    """
    counts: scipy.sparse.csr_array = forward + backward * forward.T.tocsr()
    sizes = np.maximum(occurrences, 1e-9).astype(np.float64)
    by_source = scipy.sparse.diags_array((sizes**-0.5).astype(np.float32))
    by_target = scipy.sparse.diags_array((sizes**-target_norm).astype(np.float32))
    divided: scipy.sparse.csr_array = (by_source @ counts @ by_target).tocsr()
    return divided


def _pair_counts(events: WeightedEvents, item_count: int, decay: float, reach: int) -> scipy.sparse.csr_array:
    users, items, event_weights = events.users, events.items, events.weights
    # The largest possible size: pages that are never written take no memory.
    capacity = reach * len(users)
    sources, targets = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
    weights = np.empty(capacity, np.float32)
    end = 0
    for step in range(1, reach + 1):
        same_user = users[step:] == users[:-step]
        pairs = same_user & (items[step:] != items[:-step])
        products = event_weights[:-step][pairs] * event_weights[step:][pairs]
        rows = slice(end, end := end + len(products))
        sources[rows], targets[rows] = items[:-step][pairs], items[step:][pairs]
        weights[rows] = products * decay**step
    counts: scipy.sparse.csr_array = scipy.sparse.coo_array(
        (weights[:end], (sources[:end], targets[:end])), shape=(item_count, item_count)
    ).tocsr()
    return counts


def two_steps(table: Neighbours, keep: int) -> Neighbours:
    """Return each item's `keep` strongest neighbours in two steps of the table, with rows that sum to 1.

    This reaches items that were never seen with an item: most of a wide catalogue.
    """
    one_step = neighbour_tables.matrix(table)
    count = one_step.shape[0]
    totals = np.maximum(np.asarray(one_step.sum(axis=1)).ravel(), 1e-9)
    shares = (scipy.sparse.diags_array((1 / totals).astype(np.float32)) @ one_step).tocsr()

    def rows(begin: int, end: int) -> scipy.sparse.csr_array:
        """Return a block of rows: CSR float32[rows, items]."""
        return neighbour_tables.without_diagonal((shares[begin:end] @ shares).tocsr(), begin)

    height = max(1, _PRODUCTS_PER_BLOCK // max(table.width**2, 1))
    return neighbour_tables.strongest_of_sparse(rows, count, keep, height)
