"""A dataset's interactions as the arrays that methods and models are made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.engine.training.dataset.columns import ColumnBuilder
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import weights_of
from shared.models import Histories, InteractionIndex
from shared.models.histories import WeightedEvents, distinct


def weighted_events(dataset: Dataset, weights: Mapping[str, float]) -> WeightedEvents:
    """Return the events of all users, weighted by type; `users` are the dataset's numbers."""
    histories = Histories(dataset.offsets(), dataset.items, dataset.event_types, dataset.times)
    return WeightedEvents.of(histories, weights_of(weights, dataset.event_type_names))


def user_histories(dataset: Dataset, event_types: tuple[str, ...]) -> Histories:
    """Return all events of all users, with a model's numbers of event types."""
    return Histories(dataset.offsets(), dataset.items, type_numbers(dataset, event_types), dataset.times)


def type_numbers(dataset: Dataset, event_types: tuple[str, ...]) -> NDArray[np.int16]:
    """Return the position in `event_types`, whose last one is "any other", of each event: int16[events]."""
    last = len(event_types) - 1
    numbers = [event_types.index(name) if name in event_types else last for name in dataset.event_type_names]
    return np.array(numbers, np.int16)[dataset.event_types]


def distinct_pairs(
    users: NDArray[Any], items: NDArray[Any], item_count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct (user, item) pairs, sorted: int64[pairs] users and int64[pairs] items."""
    cells = distinct(users.astype(np.int64) * item_count + items)
    return np.divmod(cells, item_count)


def offsets_of(counts: NDArray[Any]) -> NDArray[np.int64]:
    """Return where groups of these sizes begin, and where the last one ends: int64[groups + 1]."""
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


def item_popularity(dataset: Dataset) -> NDArray[np.float32]:
    """Return the number of users of each item: float32[items]."""
    count = len(dataset.item_ids)
    popularity = np.zeros(count, np.int64)
    for chunk in dataset.chunks():
        _, items = distinct_pairs(chunk.users, chunk.items, count)
        popularity += np.bincount(items, minlength=count)
    return popularity.astype(np.float32)


def interaction_index(dataset: Dataset) -> InteractionIndex:
    """Return which user interacted with which item, and how, from all events of the dataset."""
    names, users, items = dataset.event_type_names, len(dataset.user_ids), len(dataset.item_ids)
    offsets = np.zeros(users + 1, np.int64)
    builder = ColumnBuilder(dataset.storage, len(dataset), np.int32, np.int16)
    for chunk in dataset.chunks():
        index = InteractionIndex.of(
            chunk.users, chunk.items, chunk.event_types, names, user_count=users, item_count=items
        )
        offsets += index.offsets
        builder.append(index.items, index.types)
    columns = builder.columns()
    return InteractionIndex(offsets, columns[0], columns[1], names)


def first_event_times(dataset: Dataset) -> NDArray[np.int64]:
    """Return the time of each item's first event, in epoch seconds, 0 without one: int64[items]."""
    never = np.iinfo(np.int64).max
    times = np.full(len(dataset.item_ids), never, np.int64)
    for chunk in dataset.chunks():
        np.minimum.at(times, chunk.items, chunk.times)
    times[times == never] = 0
    return times
