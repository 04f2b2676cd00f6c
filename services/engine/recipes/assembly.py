"""The arrays that every model holds beside its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.engine.training.dataset.columns import Filled
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import numbered
from shared.models import (
    Attributes,
    Histories,
    Ids,
    InteractionIndex,
    Model,
    Neighbours,
    Scoring,
    ScoringComponent,
    SeenItems,
)
from shared.models.histories import WeightedEvents, distinct
from shared.models.user_scorer import HISTORY


def occasions_of(dataset: Dataset, weights: Mapping[str, float]) -> WeightedEvents:
    """All training users' occasions, by the number of the user."""
    whole = Histories(dataset.offsets(), dataset.items, dataset.event_types, dataset.times)
    return WeightedEvents.of(whole, numbered(weights, dataset.event_type_names))


def distinct_pairs(
    users: NDArray[Any], items: NDArray[Any], item_count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct (user, item) pairs, sorted."""
    cells = distinct(users.astype(np.int64) * item_count + items)
    return np.divmod(cells, item_count)


def popularity(dataset: Dataset) -> NDArray[np.float32]:
    """Unique users per item."""
    count = len(dataset.item_ids)
    fame = np.zeros(count, np.int64)
    for some in dataset.chunks():
        _, items = distinct_pairs(some.users, some.items, count)
        fame += np.bincount(items, minlength=count)
    return fame.astype(np.float32)


def model(
    recipe: str,
    dataset: Dataset,
    scoring: Scoring,
    *,
    fame: NDArray[np.float32] | None = None,
    parts: Sequence[ScoringComponent] = (),
    notes: Mapping[str, Any] | None = None,
) -> Model:
    """Put a model together; histories and seen items are kept only where users are asked for.

    Every model knows the users and their attributes: its filters may ask for them.

    `dataset` holds the interactions that count; `fame` replaces unique users as the popularity.
    """
    by_user = scoring.kind == "user"
    kept = dataset if by_user else dataset.where(np.zeros(len(dataset), bool))
    newest, older = _newest_and_older(
        kept, scoring.event_types, keep_older=scoring.exclude_seen or scoring.whole
    )
    return Model(
        recipe=recipe,
        scoring=scoring,
        items=Ids.of(dataset.item_ids.tolist()),
        users=Ids.of(dataset.user_ids.tolist()),
        popularity=popularity(dataset) if fame is None else fame,
        histories=newest,
        older=older,
        components=tuple(parts),
        notes=notes or {},
        item_attributes=Attributes.of(dataset.item_columns, dataset.kinds.get("ITEMS")),
        user_attributes=Attributes.of(dataset.user_columns, dataset.kinds.get("USERS")),
        **ages(dataset),
    )


def choices_of(model: Model) -> Model:
    """What a model chose, without what it fitted and what users did: that may be a gigabyte."""
    begin, items = np.zeros(1, np.int64), np.zeros(0, np.int32)
    events = Histories(begin, items, np.zeros(0, np.int16), np.zeros(0, np.int64))
    nothing = Neighbours(begin, items, np.zeros(0, np.float32))
    parts = tuple(replace(part, table=nothing) for part in model.components)
    return replace(model, histories=events, older=SeenItems(begin, items), components=parts)


def histories(dataset: Dataset, event_types: tuple[str, ...]) -> Histories:
    """All that users did, with the numbers that a model has for types of events."""
    return Histories(dataset.offsets(), dataset.items, _kinds(dataset, event_types), dataset.times)


def interaction_index(dataset: Dataset) -> InteractionIndex:
    """Who did what, ever, in events that count and in those that don't."""
    names, users, items = dataset.event_type_names, len(dataset.user_ids), len(dataset.item_ids)
    offsets = np.zeros(users + 1, np.int64)
    filled = Filled(dataset.room, len(dataset), np.int32, np.int16)
    for some in dataset.chunks():
        done = InteractionIndex.of(
            some.users, some.items, some.event_types, names, user_count=users, item_count=items
        )
        offsets += done.offsets
        filled.add(done.items, done.types)
    columns = filled.columns()
    return InteractionIndex(offsets, columns[0], columns[1], names)


def ages(dataset: Dataset) -> dict[str, Any]:
    """A model's members that say when each item was first met, and when the newest event was."""
    return {
        "first_event_times": _first_event_times(dataset),
        "newest_event_time": int(dataset.times.max(initial=0)),
    }


def _first_event_times(dataset: Dataset) -> NDArray[np.int64]:
    """When each item was first met, in epoch seconds; 0 for never."""
    never = np.iinfo(np.int64).max
    born = np.full(len(dataset.item_ids), never, np.int64)
    for some in dataset.chunks():
        np.minimum.at(born, some.items, some.times)
    born[born == never] = 0
    return born


def _newest_and_older(
    dataset: Dataset, event_types: tuple[str, ...], *, keep_older: bool
) -> tuple[Histories, SeenItems]:
    users, items = len(dataset.user_ids) if len(dataset) else 0, len(dataset.item_ids)
    offsets = dataset.offsets()[: users + 1]
    late = offsets[1:] - np.minimum(np.diff(offsets), HISTORY)
    begins = offsets_of(offsets[1:] - late)
    most_old = len(dataset) - int(begins[-1]) if keep_older else 0
    newest = Filled(dataset.room, int(begins[-1]), np.int32, np.int16, np.int64)
    older, distinct_older, met = Filled(dataset.room, most_old, np.int32), np.zeros(users, np.int64), 0
    for some in dataset.chunks():
        new = np.arange(met, met + len(some)) >= late[some.users]
        met += len(some)
        newest.add(some.items[new], _kinds(some, event_types)[new], some.times[new])
        if keep_older:
            rows, seen = distinct_pairs(some.users[~new], some.items[~new], items)
            distinct_older += np.bincount(rows, minlength=users)
            older.add(seen)
    return Histories(begins, *newest.columns()), SeenItems(offsets_of(distinct_older), *older.columns())


def _kinds(dataset: Dataset, event_types: tuple[str, ...]) -> NDArray[np.int16]:
    """The type of each event by the number that it has in a model."""
    numbers = np.array([_number(name, event_types) for name in dataset.event_type_names], np.int16)
    return numbers[dataset.event_types]


def _number(name: str, event_types: tuple[str, ...]) -> int:
    return event_types.index(name) if name in event_types else len(event_types) - 1


def offsets_of(counts: NDArray[Any]) -> NDArray[np.int64]:
    """Where each of so many things begins, and where the last one ends."""
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
