"""Sparse matrices of users × items: what most methods are computed from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy

from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import TypeWeights
from services.engine.training.dataset.events import distinct_pairs, offsets_of, weighted_events
from shared.models.histories import WeightedEvents


def binary_matrix(dataset: Dataset) -> scipy.sparse.csr_array:
    """Return 1 where a user interacted with an item: CSR float32[users, items]."""
    height, count = len(dataset.user_ids), len(dataset.item_ids)
    lengths, items = np.zeros(height, np.int64), [np.zeros(0, np.int32)]
    for chunk in dataset.chunks():
        users, chunk_items = distinct_pairs(chunk.users, chunk.items, count)
        lengths += np.bincount(users, minlength=height)
        items.append(chunk_items.astype(np.int32))
    indices, offsets = np.concatenate(items), offsets_of(lengths)
    return scipy.sparse.csr_array(
        (np.ones(len(indices), np.float32), indices, offsets), shape=(height, count)
    )


def weighted_matrix(dataset: Dataset, weights: TypeWeights) -> scipy.sparse.csr_array:
    """Return the largest weight of a user's events with an item: CSR float32[users with events, items]."""
    empty = scipy.sparse.csr_array((0, len(dataset.item_ids)), dtype=np.float32)
    chunks = weighted_matrices(dataset, weights)
    stacked: scipy.sparse.csr_array = scipy.sparse.vstack([empty, *chunks], format="csr", dtype=np.float32)
    return stacked


def weighted_matrices(dataset: Dataset, weights: TypeWeights) -> Iterator[scipy.sparse.csr_array]:
    """Yield the weighted matrix in pieces of users: CSR float32[users, items] each."""
    for chunk in dataset.chunks():
        yield _largest_weights(weighted_events(chunk, weights), len(dataset.item_ids))


def _largest_weights(events: WeightedEvents, count: int) -> scipy.sparse.csr_array:
    if len(events.users) == 0:
        return scipy.sparse.csr_array(np.zeros((0, count), np.float32))
    cells = events.users * count + events.items
    order = np.argsort(cells)
    cells = cells[order]
    begins = np.flatnonzero(np.diff(cells, prepend=-1))
    largest = np.maximum.reduceat(events.weights[order].astype(np.float32), begins)
    users, items = np.divmod(cells[begins], count)
    offsets = np.append(np.flatnonzero(np.diff(users, prepend=-1)), len(users))
    matrix: scipy.sparse.csr_array = scipy.sparse.csr_array(
        (largest, items, offsets), shape=(len(offsets) - 1, count)
    )
    return matrix
