"""The arrays that every model holds beside its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.engine.recipes.dataset import Dataset
from services.engine.recipes.weights import numbered
from shared.models import Attributes, Deeds, Histories, Ids, Model, Part, Scoring, Seen
from shared.models.audience import HISTORY
from shared.models.histories import Occasions, distinct, occasions, ranges


def occasions_of(dataset: Dataset, weights: Mapping[str, float]) -> Occasions:
    """All training users' occasions, by the number of the user."""
    whole = Histories(dataset.offsets(), dataset.items, dataset.event_types, dataset.times)
    return occasions(whole, numbered(weights, dataset.event_type_names))


def distinct_pairs(
    users: NDArray[Any], items: NDArray[Any], item_count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct (user, item) pairs, sorted."""
    cells = distinct(users.astype(np.int64) * item_count + items)
    return np.divmod(cells, item_count)


def popularity(dataset: Dataset) -> NDArray[np.float32]:
    """Unique users per item."""
    count = len(dataset.item_ids)
    _, items = distinct_pairs(dataset.users, dataset.items, count)
    return np.bincount(items, minlength=count).astype(np.float32)


def model(
    recipe: str,
    dataset: Dataset,
    scoring: Scoring,
    *,
    fame: NDArray[np.float32] | None = None,
    parts: Sequence[Part] = (),
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
        parts=tuple(parts),
        notes=notes or {},
        item_attributes=Attributes.of(dataset.item_columns),
        user_attributes=Attributes.of(dataset.user_columns),
        **ages(dataset),
    )


def histories(dataset: Dataset, event_types: tuple[str, ...]) -> Histories:
    """All that users did, with the numbers that a model has for types of events."""
    return Histories(dataset.offsets(), dataset.items, _kinds(dataset, event_types), dataset.times)


def deeds(dataset: Dataset) -> Deeds:
    """Who did what, ever, in events that count and in those that don't."""
    return Deeds.of(
        dataset.users,
        dataset.items,
        dataset.event_types,
        dataset.event_type_names,
        user_count=len(dataset.user_ids),
        item_count=len(dataset.item_ids),
    )


def ages(dataset: Dataset) -> dict[str, Any]:
    """A model's members that say when each item was first met, and when the newest event was."""
    return {"born": _born(dataset), "newest": int(dataset.times.max(initial=0))}


def _born(dataset: Dataset) -> NDArray[np.int64]:
    """When each item was first met, in epoch seconds; 0 for never."""
    never = np.iinfo(np.int64).max
    born = np.full(len(dataset.item_ids), never, np.int64)
    np.minimum.at(born, dataset.items, dataset.times)
    born[born == never] = 0
    return born


def _newest_and_older(
    dataset: Dataset, event_types: tuple[str, ...], *, keep_older: bool
) -> tuple[Histories, Seen]:
    offsets = dataset.offsets()
    users = len(dataset.user_ids) if len(dataset) else 0
    offsets = offsets[: users + 1]
    counts = np.diff(offsets)
    newest = np.minimum(counts, HISTORY)
    places = ranges(offsets[1:] - newest, newest)
    newest_events = Histories(
        _offsets(newest), dataset.items[places], _kinds(dataset, event_types)[places], dataset.times[places]
    )
    old = counts - newest if keep_older else np.zeros(users, np.int64)
    places = ranges(offsets[:-1], old)
    rows, items = distinct_pairs(dataset.users[places], dataset.items[places], len(dataset.item_ids))
    return newest_events, Seen(_offsets(np.bincount(rows, minlength=users)), items.astype(np.int32))


def _kinds(dataset: Dataset, event_types: tuple[str, ...]) -> NDArray[np.int16]:
    """The type of each event by the number that it has in a model."""
    numbers = np.array([_number(name, event_types) for name in dataset.event_type_names], np.int16)
    return numbers[dataset.event_types]


def _number(name: str, event_types: tuple[str, ...]) -> int:
    return event_types.index(name) if name in event_types else len(event_types) - 1


def _offsets(counts: NDArray[Any]) -> NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
