"""STAN: the next item of a session from past sessions with the same items in a similar order.

Diksha Garg and others, "Sequence and Time Aware Neighborhood for Session-based Recommendations", 2019.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import TypeWeights
from services.engine.training.dataset.events import weighted_events
from services.engine.training.methods.profiles import nearest_profiles
from shared.models import NearestProfiles
from shared.models.histories import WeightedEvents

_EVENTS_PER_SESSION = 50
_NEAREST_SESSIONS = 1_500


def stan(dataset: Dataset, weights: TypeWeights, *, reach: float) -> NearestProfiles:
    """Return each user's newest 50 events in their order as a session, sessions ordered by their end.

    An item that few sessions hold says more of two sessions that share it: it counts log(1 + sessions /
    sessions with the item). A session counts by its age, the oldest 1/e of the newest, and by the inverse
    root of its length.
    """
    events = _newest_events(dataset, weights)
    rows, ended = _rows_by_end(events)
    order = np.argsort(rows, kind="stable")
    rows, items = rows[order], events.items[order]
    lengths = np.bincount(rows, minlength=len(ended))
    popularity = np.bincount(items, minlength=len(dataset.item_ids))
    rarity = np.log(1 + len(ended) / np.maximum(popularity, 1))
    span = max(int(ended[-1] - ended[0]), 1) if len(ended) else 1
    freshness = np.exp((ended - ended[-1:]) / span)
    return nearest_profiles(
        rows,
        items,
        matches=rarity[items],
        weights=events.weights[order],
        scale=freshness / np.sqrt(np.maximum(lengths, 1)),
        item_count=len(dataset.item_ids),
        nearest=_NEAREST_SESSIONS,
        reach=reach,
    )


def _newest_events(dataset: Dataset, weights: TypeWeights) -> WeightedEvents:
    """Return each user's newest 50 events."""
    chunks = [weighted_events(dataset.between(0, 0), weights)]
    for chunk in dataset.chunks():
        events = weighted_events(chunk, weights)
        newest = events.ages("event") < _EVENTS_PER_SESSION
        chunks.append(
            WeightedEvents(
                events.users[newest], events.items[newest], events.times[newest], events.weights[newest]
            )
        )
    return WeightedEvents(
        np.concatenate([events.users for events in chunks]),
        np.concatenate([events.items for events in chunks]),
        np.concatenate([events.times for events in chunks]),
        np.concatenate([events.weights for events in chunks]),
    )


def _rows_by_end(events: WeightedEvents) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each event's row and each row's last time; rows are numbered by their last time."""
    users, begins = np.unique(events.users, return_index=True)
    ended = np.maximum.reduceat(events.times, begins) if len(users) else np.zeros(0, np.int64)
    order = np.argsort(ended, kind="stable")
    row_of_user = np.empty(len(users), np.int64)
    row_of_user[order] = np.arange(len(users))
    return row_of_user[np.searchsorted(users, events.users)], ended[order]
