"""The tables that a recipe may be mixed from, and the variants of each to try."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

from services.engine.recipes import content, ease, gram, graph, peers, sequence, similarity, tables
from services.engine.recipes.assembly import occasions_of
from services.engine.recipes.dataset import Dataset
from services.engine.recipes.elsewhere import Asked
from services.engine.recipes.holdout_evaluator import FEW_EVENTS, Build
from services.engine.recipes.weights import TypeWeights
from shared.models import Neighbours
from shared.models.histories import Occasions
from shared.models.neighbours import Unit

_KEEP = 300
_KEEP_OF_FEW = 600
_KEEP_WIDE = 100
_KEEP_TWICE = 50
_FAR = 50
_SHORT = 50
"""Events per user: of more than so many, a session's peers see only the end."""

REPEAT_CONSUMPTION = "again"
"""The component of items that a user comes back to; models that are stored know it by this name."""

_QUICK_ITEMS = 6_000
_SHRINKAGE = 10.0


@dataclass(frozen=True)
class CandidateMethod:
    """An algorithm that may become a component: its variants by name, and the default decay of its events.

    The first variant is the default. A variant builds a table from a dataset and the weights of event types.
    """

    name: str
    variants: Mapping[str, Build]
    decay: float
    unit: Unit


def user_candidates(dataset: Dataset, share: float = 1.0) -> list[CandidateMethod]:
    """What a user turns to next, with what this catalogue affords.

    An inverse is cubic in the smaller of users and items.
    `share` is the share of the users that tables will be built from: a ridge of 200 for all of them
    is one of 50 for a quarter.
    """
    users, items = dataset.active, len(dataset.item_ids)
    ridges = (200, 50, 800) if min(users, items) <= _QUICK_ITEMS else (200,)
    if ease.fits(users, items):
        solved = {f"ridge {ridge}": partial(_solved, ridge=ridge * share) for ridge in ridges}
        likeness = [
            CandidateMethod("ease", solved, 0.9, "event"),
            CandidateMethod("together", {"shrunk cosines": _together}, 0.9, "event"),
        ]
    else:
        likeness = [CandidateMethod("graph", {"walks": _walked}, 0.9, "event")]
    return [
        CandidateMethod("sequence", _followers(dataset), 0.8, "event"),
        *likeness,
        *(_of_few() if len(dataset) <= min(FEW_EVENTS, _SHORT * users) else []),
        *([CandidateMethod("words", {"cosines": _said}, 0.8, "event")] if content.told(dataset) else []),
        CandidateMethod(REPEAT_CONSUMPTION, {"itself": itself}, 0.8, "day"),
    ]


def _of_few() -> list[CandidateMethod]:
    """Where little is known of many: users whose order is like this one's, and what two steps reach."""
    return [
        CandidateMethod("sessions", {"reach 3.0": partial(peers.sessions, reach=3.0)}, 0.6, "event"),
        CandidateMethod("two steps", {"fade 0.8, backward 0.5": _twice_followed}, 0.6, "event"),
    ]


def _followers(dataset: Dataset) -> dict[str, Build]:
    """Near followers for all; where there is little data, far ones too, and what is popular among them."""
    near: dict[str, Build] = {
        f"fade {fade}, backward {backward}": partial(_followed, fade=fade, backward=backward)
        for fade, backward in ((0.8, 0.5), (0.8, 1.0), (0.9, 0.5))
    }
    if len(dataset) > FEW_EVENTS:
        return near
    far: dict[str, Build] = {
        f"fade 0.95, backward 0.25, reach {_FAR}, arrive {arrive}": partial(
            _followed, fade=0.95, backward=0.25, reach=_FAR, arrive=arrive
        )
        for arrive in (0.5, 0.3)
    }
    return near | far


def session_candidates(_: Dataset, __: float = 1.0) -> list[CandidateMethod]:
    """What comes next in a session: from sessions like it, and from what follows its items."""
    alike: dict[str, Build] = {
        f"reach {reach}": partial(peers.sessions, reach=reach) for reach in (3.0, 1.5, 6.0)
    }
    return [
        CandidateMethod("sessions", alike, 0.6, "event"),
        CandidateMethod("two steps", {"fade 0.8, backward 0.5": _twice_followed}, 0.6, "event"),
        CandidateMethod("sequence", {"fade 0.8, backward 0.5": _FOLLOWED}, 0.6, "event"),
        CandidateMethod(REPEAT_CONSUMPTION, {"itself": itself}, 0.6, "event"),
    ]


def basket_candidates(_: Dataset, __: float = 1.0) -> list[CandidateMethod]:
    """What the next basket holds: what the customer comes back to, and customers like this one."""
    alike: dict[str, Build] = {
        f"decay {decay} a day": partial(peers.customers, decay=decay, unit="day") for decay in (0.8, 0.9, 1.0)
    }
    return [
        CandidateMethod(REPEAT_CONSUMPTION, {"itself": itself}, 0.8, "day"),
        CandidateMethod("customers", alike, 0.8, "day"),
    ]


def kept(dataset: Dataset) -> int:
    """Neighbours per item and part: what 50 events are scored from within the live budget.

    What lies further down decides the far end of a list. Where there is little data, so that neither
    choosing nor a batch takes long, twice as many are kept.
    """
    if len(dataset.item_ids) > ease.DENSE_ITEMS:
        return _KEEP_WIDE
    return _KEEP_OF_FEW if len(dataset) <= FEW_EVENTS else _KEEP


def itself(dataset: Dataset, _: TypeWeights) -> Neighbours:
    """Each item's only neighbour is the item: a part that counts what a user comes back to."""
    count = len(dataset.item_ids)
    return Neighbours(
        np.arange(count + 1, dtype=np.int64),
        np.arange(count, dtype=np.int32),
        np.ones(count, np.float32),
    )


def interest(dataset: Dataset, weights: TypeWeights) -> sparse.csr_array:
    """Users with events × items, float32: the largest weight that an event of theirs had."""
    count = len(dataset.item_ids)
    nobody = sparse.csr_array((0, count), dtype=np.float32)
    found = _interests(dataset, weights)
    together: sparse.csr_array = sparse.vstack([nobody, *found], format="csr", dtype=np.float32)
    return together


def _interests(dataset: Dataset, weights: TypeWeights) -> Iterator[sparse.csr_array]:
    """The same in pieces of users."""
    for some in dataset.chunks():
        yield _interest(occasions_of(some, weights), len(dataset.item_ids))


def _interest(seen: Occasions, count: int) -> sparse.csr_array:
    if len(seen.users) == 0:
        return sparse.csr_array(np.zeros((0, count), np.float32))
    cells = seen.users * count + seen.items
    order = np.argsort(cells)
    cells = cells[order]
    begins = np.flatnonzero(np.diff(cells, prepend=-1))
    largest = np.maximum.reduceat(seen.weights[order].astype(np.float32), begins)
    users, items = np.divmod(cells[begins], count)
    offsets = np.append(np.flatnonzero(np.diff(users, prepend=-1)), len(users))
    interest: sparse.csr_array = sparse.csr_array((largest, items, offsets), shape=(len(offsets) - 1, count))
    return interest


def _after(
    dataset: Dataset,
    weights: TypeWeights,
    *,
    fade: float = 0.8,
    backward: float = 0.5,
    reach: int = sequence.REACH,
    arrive: float = 0.5,
) -> sparse.csr_array:
    if dataset.elsewhere is None:
        seen = (occasions_of(some, weights) for some in dataset.chunks(sequence.at_once(reach)))
        count = len(dataset.item_ids)
        return sequence.followers(seen, count, fade=fade, backward=backward, reach=reach, arrive=arrive)
    forward = dataset.elsewhere.summed(Asked("followers", weights, fade, reach)).copy()
    happened = forward.diagonal()
    forward.setdiag(0)
    return sequence.both_ways(forward, happened, backward, arrive)


def _followed(dataset: Dataset, weights: TypeWeights, **settings: Any) -> Neighbours:
    count = len(dataset.item_ids)
    after = _after(dataset, weights, **settings)
    height = max(1, tables.CELLS_PER_BLOCK // max(count, 1))
    return tables.strongest_of_sparse(lambda low, high: after[low:high], count, kept(dataset), height)


_FOLLOWED = partial(_followed, fade=0.8, backward=0.5)


def _twice_followed(dataset: Dataset, weights: TypeWeights) -> Neighbours:
    count = len(dataset.item_ids)
    after = _after(dataset, weights)
    near = tables.strongest_of_sparse(lambda low, high: after[low:high], count, _KEEP_TWICE, count)
    return sequence.two_steps(near, kept(dataset))


def _solved(dataset: Dataset, weights: TypeWeights, *, ridge: float) -> Neighbours:
    if dataset.elsewhere is not None:
        summed = dataset.elsewhere.summed(Asked("interest", weights))
        return ease.of_gram(summed.toarray().astype(np.float32), ridge, kept(dataset))
    count = len(dataset.item_ids)
    if dataset.active < count:
        return ease.weights(interest(dataset, weights), ridge, kept(dataset))
    return ease.of_gram(gram.added_up(_interests(dataset, weights), count), ridge, kept(dataset))


def _together(dataset: Dataset, _: TypeWeights) -> Neighbours:
    return similarity.similar(dataset, shrinkage=_SHRINKAGE, keep=kept(dataset))


def _said(dataset: Dataset, _: TypeWeights) -> Neighbours:
    return content.alike(dataset, kept(dataset))


def _walked(dataset: Dataset, weights: TypeWeights) -> Neighbours:
    return graph.walks(interest(dataset, weights), keep=kept(dataset))
