"""Rows that peers are found in: sessions with their order, and customers with what they come back to.

Sessions: Diksha Garg and others, "Sequence and Time Aware Neighborhood for Session-based
Recommendations" (STAN), 2019. Customers: Haoji Hu and others, "Modeling Personalized Item Frequency
Information for Next-basket Recommendation" (TIFU-kNN), 2020.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from services.engine.recipes.assembly import occasions_of
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import TypeWeights
from shared.models import Peers
from shared.models.histories import WeightedEvents
from shared.models.neighbours import Unit

_EVENTS = 50
_HOLDERS = 2_000
_SESSIONS = 1_500
_CUSTOMERS = 100


def sessions(dataset: Dataset, weights: TypeWeights, *, reach: float) -> Peers:
    """Each user's newest 50 occasions in their order, the newest session last.

    What few sessions hold says more of two that have it in common (log of sessions per holder). A session
    counts by its age, the oldest e times less than the newest, and by the root of its length.
    """
    seen = _newest(dataset, weights)
    rows, ended = _by_their_end(seen)
    order = np.argsort(rows, kind="stable")
    rows, items = rows[order], seen.items[order]
    lengths = np.bincount(rows, minlength=len(ended))
    fame = np.bincount(items, minlength=len(dataset.item_ids))
    rarity = np.log(1 + len(ended) / np.maximum(fame, 1))
    span = max(int(ended[-1] - ended[0]), 1) if len(ended) else 1
    fresh = np.exp((ended - ended[-1:]) / span)
    return _peers(
        rows,
        items,
        matches=rarity[items],
        weights=seen.weights[order],
        scale=fresh / np.sqrt(np.maximum(lengths, 1)),
        items_known=len(dataset.item_ids),
        nearest=_SESSIONS,
        reach=reach,
    )


def _newest(dataset: Dataset, weights: TypeWeights) -> WeightedEvents:
    """Each user's newest 50 occasions."""
    found = [occasions_of(dataset.between(0, 0), weights)]
    for some in dataset.chunks():
        seen = occasions_of(some, weights)
        recent = seen.ages("event") < _EVENTS
        found.append(
            WeightedEvents(seen.users[recent], seen.items[recent], seen.times[recent], seen.weights[recent])
        )
    return WeightedEvents(
        np.concatenate([seen.users for seen in found]),
        np.concatenate([seen.items for seen in found]),
        np.concatenate([seen.times for seen in found]),
        np.concatenate([seen.weights for seen in found]),
    )


def customers(dataset: Dataset, weights: TypeWeights, *, decay: float, unit: Unit) -> Peers:
    """What each user comes back to: the faded shares of the user's items, which sum to 1."""
    seen = occasions_of(dataset, weights)
    count = len(dataset.item_ids)
    user, row = np.unique(seen.users, return_inverse=True)
    faded = sparse.coo_array(
        (seen.shares(decay, unit), (row.reshape(-1), seen.items)), shape=(len(user), count)
    ).tocsr()
    lengths = np.sqrt(np.asarray(faded.multiply(faded).sum(axis=1)).ravel())
    return _peers(
        np.repeat(np.arange(len(user)), np.diff(faded.indptr)),
        faded.indices,
        matches=faded.data,
        weights=faded.data,
        scale=1 / np.maximum(lengths, 1e-12),
        items_known=count,
        nearest=_CUSTOMERS,
        reach=0.0,
    )


def _by_their_end(seen: WeightedEvents) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each occasion's row, and when each row ended; rows are numbered in that order."""
    users, begins = np.unique(seen.users, return_index=True)
    ended = np.maximum.reduceat(seen.times, begins) if len(users) else np.zeros(0, np.int64)
    order = np.argsort(ended, kind="stable")
    place = np.empty(len(users), np.int64)
    place[order] = np.arange(len(users))
    return place[np.searchsorted(users, seen.users)], ended[order]


def _peers(
    rows: NDArray[np.int64],
    items: NDArray[np.int32],
    *,
    matches: NDArray[np.float64],
    weights: NDArray[np.float64],
    scale: NDArray[np.float64],
    items_known: int,
    nearest: int,
    reach: float,
) -> Peers:
    """Rows in their order with the places of every item, the newest 2,000 of each."""
    holders = np.argsort(items, kind="stable")
    fame = np.bincount(items, minlength=items_known)
    from_the_end = np.repeat(np.cumsum(fame), fame) - np.arange(len(holders))
    holders = holders[from_the_end <= _HOLDERS]
    return Peers(
        offsets=_offsets(np.bincount(rows, minlength=len(scale))),
        items=items.astype(np.int32),
        row_of=rows.astype(np.int32),
        matches=matches.astype(np.float32),
        weights=weights.astype(np.float32),
        holder_offsets=_offsets(np.minimum(fame, _HOLDERS)),
        holders=holders.astype(np.int32),
        scale=scale.astype(np.float32),
        nearest=nearest,
        reach=reach,
    )


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
