"""Puts models together from a dataset and the components that a recipe fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.engine.training.dataset.columns import ColumnBuilder
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.events import (
    distinct_pairs,
    first_event_times,
    item_popularity,
    offsets_of,
    type_numbers,
)
from shared.models import (
    Attributes,
    Histories,
    Ids,
    Model,
    Neighbours,
    Scoring,
    ScoringComponent,
    SeenItems,
)
from shared.models.user_scorer import HISTORY


def model(
    recipe: str,
    dataset: Dataset,
    scoring: Scoring,
    *,
    popularity: NDArray[np.float32] | None = None,
    parts: Sequence[ScoringComponent] = (),
    notes: Mapping[str, Any] | None = None,
) -> Model:
    """Return a model of `dataset`, which has the interactions that count.

    Histories and seen items are kept only by recipes for users; users and their attributes always, since
    filters may name them. `popularity`, float32[items], replaces the number of each item's users.
    """
    by_user = scoring.kind == "user"
    kept = dataset if by_user else dataset.where(np.zeros(len(dataset), bool))
    histories, older = _newest_and_older(
        kept, scoring.event_types, keep_older=scoring.exclude_seen or scoring.whole
    )
    return Model(
        recipe=recipe,
        scoring=scoring,
        items=Ids.of(dataset.item_ids.tolist()),
        users=Ids.of(dataset.user_ids.tolist()),
        popularity=item_popularity(dataset) if popularity is None else popularity,
        histories=histories,
        older=older,
        components=tuple(parts),
        notes=notes or {},
        item_attributes=Attributes.of(dataset.item_columns, dataset.kinds.get("ITEMS")),
        user_attributes=Attributes.of(dataset.user_columns, dataset.kinds.get("USERS")),
        **event_times(dataset),
    )


def event_times(dataset: Dataset) -> dict[str, Any]:
    """Return the fields of a model with the times of items' first events and of the newest event."""
    return {
        "first_event_times": first_event_times(dataset),
        "newest_event_time": int(dataset.times.max(initial=0)),
    }


def without_fit(model: Model) -> Model:
    """Return a model with its components, but without tables and events, which may take a gigabyte."""
    offsets, items = np.zeros(1, np.int64), np.zeros(0, np.int32)
    histories = Histories(offsets, items, np.zeros(0, np.int16), np.zeros(0, np.int64))
    empty = Neighbours(offsets, items, np.zeros(0, np.float32))
    components = tuple(replace(component, table=empty) for component in model.components)
    return replace(model, histories=histories, older=SeenItems(offsets, items), components=components)


def _newest_and_older(
    dataset: Dataset, event_types: tuple[str, ...], *, keep_older: bool
) -> tuple[Histories, SeenItems]:
    """Return each user's newest events, and the distinct items of the events before those."""
    users, item_count = len(dataset.user_ids) if len(dataset) else 0, len(dataset.item_ids)
    offsets = dataset.offsets()[: users + 1]
    newest_begins = offsets[1:] - np.minimum(np.diff(offsets), HISTORY)
    history_offsets = offsets_of(offsets[1:] - newest_begins)
    capacity = len(dataset) - int(history_offsets[-1]) if keep_older else 0
    newest = ColumnBuilder(dataset.storage, int(history_offsets[-1]), np.int32, np.int16, np.int64)
    older = ColumnBuilder(dataset.storage, capacity, np.int32)
    older_counts, begin = np.zeros(users, np.int64), 0
    for chunk in dataset.chunks():
        is_newest = np.arange(begin, begin + len(chunk)) >= newest_begins[chunk.users]
        begin += len(chunk)
        types = type_numbers(chunk, event_types)
        newest.append(chunk.items[is_newest], types[is_newest], chunk.times[is_newest])
        if keep_older:
            rows, items = distinct_pairs(chunk.users[~is_newest], chunk.items[~is_newest], item_count)
            older_counts += np.bincount(rows, minlength=users)
            older.append(items)
    return Histories(history_offsets, *newest.columns()), SeenItems(
        offsets_of(older_counts), *older.columns()
    )
