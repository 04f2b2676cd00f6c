"""The item-item matrix of one partition of users, by the code that also trains on one machine."""

from __future__ import annotations

import scipy

from services.engine.training.dataset.aggregates import MatrixRequest
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.events import weighted_events
from services.engine.training.methods.transitions import events_per_chunk, forward_counts
from services.engine.training.methods.user_item_matrix import binary_matrix, weighted_matrix


def partial_aggregate(dataset: Dataset, request: MatrixRequest) -> scipy.sparse.csr_array:
    """Return the matrix over the users of `dataset`: CSR float[items, items].

    The matrix of all users is the sum over partitions of whole users.
    """
    if request.matrix == "transitions":
        return _transitions(dataset, request)
    if request.matrix == "cooccurrence":
        user_items = binary_matrix(dataset)
    else:
        user_items = weighted_matrix(dataset, dict(request.weights))
    product: scipy.sparse.csr_array = (user_items.T @ user_items).tocsr()
    return product


def _transitions(dataset: Dataset, request: MatrixRequest) -> scipy.sparse.csr_array:
    chunks = dataset.chunks(events_per_chunk(request.reach))
    events = (weighted_events(chunk, request.weights) for chunk in chunks)
    counts, occurrences = forward_counts(events, len(dataset.item_ids), request.decay, request.reach)
    # No item follows itself, so the diagonal is free for the occurrences.
    total: scipy.sparse.csr_array = (counts + scipy.sparse.diags_array(occurrences)).tocsr()
    return total
