"""The methods that a recipe's ensemble may be blended from, and the variants of each that are tried.

Names of methods and variants are kept in the notes of models, which later trainings read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy

from services.engine.training.dataset.aggregates import MatrixRequest
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import TypeWeights
from services.engine.training.dataset.events import weighted_events
from services.engine.training.methods import ease, neighbour_tables
from services.engine.training.methods.gram import gram_matrix
from services.engine.training.methods.item_cosine import item_cosine
from services.engine.training.methods.repeat_consumption import repeat_consumption
from services.engine.training.methods.rp3beta import rp3beta
from services.engine.training.methods.stan import stan
from services.engine.training.methods.tfidf import has_text_columns, tfidf_neighbours
from services.engine.training.methods.tifu_knn import tifu_knn
from services.engine.training.methods.transitions import (
    REACH,
    events_per_chunk,
    normalized,
    transition_counts,
    two_steps,
)
from services.engine.training.methods.user_item_matrix import weighted_matrices, weighted_matrix
from shared.models import Neighbours, Table
from shared.models.neighbours import Unit

Build = Callable[[Dataset, TypeWeights], Table]
"""Builds a table from interactions and the weights of their event types."""

REPEAT_CONSUMPTION = "again"
"""The component of items that a user comes back to; stored models know it by this name."""

FEW_EVENTS = 250_000
"""Up to so many interactions, selection is quick, and its result depends most on who is held out."""

_KEEP = 300
"""Neighbours per item: 50 events are scored from so many within the live budget."""
_KEEP_OF_FEW = 600
_KEEP_WIDE = 100
_KEEP_PER_STEP = 50
_LONG_REACH = 50
_MOST_EVENTS_PER_USER = 50
"""STAN sees the newest events of a session alone: with more of them on average, it is not offered."""
_QUICK_ITEMS = 6_000
"""Up to so many users or items, an inverse takes a second, and three ridges are tried."""
_SHRINKAGE = 10.0


@dataclass(frozen=True)
class CandidateMethod:
    """An algorithm that may become a component: its variants by name, and the default decay of its events.

    The first variant is the default.
    """

    name: str
    variants: Mapping[str, Build]
    decay: float
    unit: Unit


def user_candidates(dataset: Dataset, share: float = 1.0) -> list[CandidateMethod]:
    """Return the methods for what a user turns to next that this catalogue affords.

    EASE takes time cubic in the smaller of users and items. `share` is the share of the users that tables are
    built from: a ridge of 200 for all of them is one of 50 for a quarter.
    """
    users, items = dataset.active_users, len(dataset.item_ids)
    ridges = (200, 50, 800) if min(users, items) <= _QUICK_ITEMS else (200,)
    if ease.fits(users, items):
        by_ridge = {f"ridge {ridge}": partial(_ease, ridge=ridge * share) for ridge in ridges}
        similar = [
            CandidateMethod("ease", by_ridge, 0.9, "event"),
            CandidateMethod("together", {"shrunk cosines": _item_cosine}, 0.9, "event"),
        ]
    else:
        similar = [CandidateMethod("graph", {"walks": _rp3beta}, 0.9, "event")]
    return [
        CandidateMethod("sequence", _transition_variants(dataset), 0.8, "event"),
        *similar,
        *(_for_few_events() if len(dataset) <= min(FEW_EVENTS, _MOST_EVENTS_PER_USER * users) else []),
        *([CandidateMethod("words", {"cosines": _tfidf}, 0.8, "event")] if has_text_columns(dataset) else []),
        CandidateMethod(REPEAT_CONSUMPTION, {"itself": repeat_consumption}, 0.8, "day"),
    ]


def session_candidates(_: Dataset, __: float = 1.0) -> list[CandidateMethod]:
    """Return the methods for what comes next in a session: similar sessions, and transitions of its items."""
    by_reach: dict[str, Build] = {f"reach {reach}": partial(stan, reach=reach) for reach in (3.0, 1.5, 6.0)}
    return [
        CandidateMethod("sessions", by_reach, 0.6, "event"),
        CandidateMethod("two steps", {"fade 0.8, backward 0.5": _two_steps}, 0.6, "event"),
        CandidateMethod("sequence", {"fade 0.8, backward 0.5": transitions}, 0.6, "event"),
        CandidateMethod(REPEAT_CONSUMPTION, {"itself": repeat_consumption}, 0.6, "event"),
    ]


def basket_candidates(_: Dataset, __: float = 1.0) -> list[CandidateMethod]:
    """Return the methods for the next basket: repeat consumption, and similar customers."""
    by_decay: dict[str, Build] = {
        f"decay {decay} a day": partial(tifu_knn, decay=decay, unit="day") for decay in (0.8, 0.9, 1.0)
    }
    return [
        CandidateMethod(REPEAT_CONSUMPTION, {"itself": repeat_consumption}, 0.8, "day"),
        CandidateMethod("customers", by_decay, 0.8, "day"),
    ]


def neighbours_kept(dataset: Dataset) -> int:
    """Return how many neighbours of each item a table keeps.

    Weaker neighbours decide the far end of a list. Where there are few interactions, neither selection nor a
    batch takes long, and twice as many are kept.
    """
    if len(dataset.item_ids) > ease.DENSE_ITEMS:
        return _KEEP_WIDE
    return _KEEP_OF_FEW if len(dataset) <= FEW_EVENTS else _KEEP


def transitions(
    dataset: Dataset, weights: TypeWeights, *, decay: float = 0.8, backward: float = 0.5, **settings: Any
) -> Neighbours:
    """Return each item's strongest transitions; `settings` are `reach` and `target_norm`."""
    count = len(dataset.item_ids)
    matrix = _transition_matrix(dataset, weights, decay=decay, backward=backward, **settings)
    height = max(1, neighbour_tables.CELLS_PER_BLOCK // max(count, 1))
    return neighbour_tables.strongest_of_sparse(
        lambda low, high: matrix[low:high], count, neighbours_kept(dataset), height
    )


def _for_few_events() -> list[CandidateMethod]:
    """Return the methods for users of few events: similar histories, and items two transitions away."""
    return [
        CandidateMethod("sessions", {"reach 3.0": partial(stan, reach=3.0)}, 0.6, "event"),
        CandidateMethod("two steps", {"fade 0.8, backward 0.5": _two_steps}, 0.6, "event"),
    ]


def _transition_variants(dataset: Dataset) -> dict[str, Build]:
    """Return short transitions; for few interactions also long ones, and those that favour popular items."""
    short: dict[str, Build] = {
        f"fade {decay}, backward {backward}": partial(transitions, decay=decay, backward=backward)
        for decay, backward in ((0.8, 0.5), (0.8, 1.0), (0.9, 0.5))
    }
    if len(dataset) > FEW_EVENTS:
        return short
    long: dict[str, Build] = {
        f"fade 0.95, backward 0.25, reach {_LONG_REACH}, arrive {target_norm}": partial(
            transitions, decay=0.95, backward=0.25, reach=_LONG_REACH, target_norm=target_norm
        )
        for target_norm in (0.5, 0.3)
    }
    return short | long


def _transition_matrix(
    dataset: Dataset,
    weights: TypeWeights,
    *,
    decay: float = 0.8,
    backward: float = 0.5,
    reach: int = REACH,
    target_norm: float = 0.5,
) -> scipy.sparse.csr_array:
    """Return the transition counts: CSR float[items, items]."""
    if dataset.aggregates is None:
        events = (weighted_events(chunk, weights) for chunk in dataset.chunks(events_per_chunk(reach)))
        return transition_counts(
            events,
            len(dataset.item_ids),
            decay=decay,
            backward=backward,
            reach=reach,
            target_norm=target_norm,
        )
    forward = dataset.aggregates.matrix(MatrixRequest("transitions", weights, decay, reach)).copy()
    occurrences = forward.diagonal()
    forward.setdiag(0)
    return normalized(forward, occurrences, backward, target_norm)


def _two_steps(dataset: Dataset, weights: TypeWeights) -> Neighbours:
    count = len(dataset.item_ids)
    matrix = _transition_matrix(dataset, weights)
    nearest = neighbour_tables.strongest_of_sparse(
        lambda low, high: matrix[low:high], count, _KEEP_PER_STEP, count
    )
    return two_steps(nearest, neighbours_kept(dataset))


def _ease(dataset: Dataset, weights: TypeWeights, *, ridge: float) -> Neighbours:
    keep = neighbours_kept(dataset)
    if dataset.aggregates is not None:
        gram = dataset.aggregates.matrix(MatrixRequest("gram", weights)).toarray().astype(np.float32)
        return ease.ease_of_gram(gram, ridge, keep)
    count = len(dataset.item_ids)
    if dataset.active_users < count:
        return ease.ease(weighted_matrix(dataset, weights), ridge, keep)
    return ease.ease_of_gram(gram_matrix(weighted_matrices(dataset, weights), count), ridge, keep)


def _item_cosine(dataset: Dataset, _: TypeWeights) -> Neighbours:
    return item_cosine(dataset, shrinkage=_SHRINKAGE, keep=neighbours_kept(dataset))


def _tfidf(dataset: Dataset, _: TypeWeights) -> Neighbours:
    return tfidf_neighbours(dataset, neighbours_kept(dataset))


def _rp3beta(dataset: Dataset, weights: TypeWeights) -> Neighbours:
    return rp3beta(weighted_matrix(dataset, weights), keep=neighbours_kept(dataset))
