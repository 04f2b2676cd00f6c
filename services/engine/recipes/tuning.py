"""Choosing a graph filter's settings on interactions held out of the training data itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from services.engine.recipes.metrics import DEPTH
from services.engine.training.methods.gf_cf import Filter, degrees, steps, tastes
from shared.models import LatentFactors

_USERS = 3_000
_CELLS = 125_000_000
_FEWEST_USERS = 300
_FEWEST_ITEMS = 5
_SHARE = 0.2
_CELLS_PER_BLOCK = 16_000_000
_TASTE_CELLS = 32_000_000
_ARRIVE = (0.5, 0.4, 0.3, 0.2)
_ALPHAS = (1.0, 0.5)


def chosen(seen: sparse.csr_array, start: Filter) -> tuple[Filter, dict[str, float]]:
    """The best filter found, and the NDCG@25 of all that were tried.

    A fifth of the items of 3,000 users at most, drawn at random, is to be found from the rest. Tried are
    the power of the degree where a walk arrives, the tastes' weight or half of it, and twice as many tastes
    where they fit into memory.
    """
    random = np.random.default_rng(3)
    able = np.flatnonzero(np.diff(seen.indptr) >= _FEWEST_ITEMS)
    most = min(_USERS, max(_FEWEST_USERS, _CELLS // seen.shape[1]))
    users = np.sort(random.permutation(able)[:most])
    if len(users) == 0:
        return start, {}
    rows = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
    late = np.isin(rows, users) & (random.random(len(rows)) < _SHARE)
    train = _of(seen, ~late)
    offered = _offered(start, seen.shape[1])
    gains = _gains(train[users], _of(seen, late)[users], train, offered)
    tried = {_name(settings): round(gain, 5) for settings, gain in zip(offered, gains, strict=True)}
    return max(offered, key=lambda settings: tried[_name(settings)]), tried


def _offered(start: Filter, items: int) -> list[Filter]:
    """What is tried; the start first, so that it stays where nothing is better."""
    return [
        replace(start, tastes=count, arrive=arrive, alpha=round(start.alpha * share, 6))
        for count in dict.fromkeys((start.tastes, more(start.tastes, items)))
        for arrive in dict.fromkeys((start.arrive, *_ARRIVE))
        for share in _ALPHAS
    ]


def more(count: int, items: int) -> int:
    """Twice as many tastes where they fit into memory, else as many."""
    return 2 * count if 2 * count * items <= _TASTE_CELLS else count


def scores(
    histories: sparse.csr_array, seen: sparse.csr_array, settings: Filter, low: LatentFactors
) -> NDArray[np.float32]:
    """What every item scores for some histories, dense."""
    there, back = steps(seen, settings)
    near = (histories @ there @ back).toarray()
    return np.asarray(
        near + np.float32(settings.alpha) * ((histories @ low.encoder) @ low.decoder), np.float32
    )


def _of(seen: sparse.csr_array, kept: NDArray[np.bool_]) -> sparse.csr_array:
    """The same matrix with some of its entries."""
    rows = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
    return sparse.csr_array((seen.data[kept], (rows[kept], seen.indices[kept])), shape=seen.shape)


def _name(settings: Filter) -> str:
    powers = f"leave {settings.leave}, through {settings.through}, arrive {settings.arrive}"
    return f"{powers}, alpha {settings.alpha}, tastes {settings.tastes}"


def _gains(
    known: sparse.csr_array, sought: sparse.csr_array, seen: sparse.csr_array, offered: Sequence[Filter]
) -> list[float]:
    """Each filter's mean NDCG@25 of those who have something to be found; 0 where nobody has."""
    low = tastes(seen, max(settings.tastes for settings in offered), roughly=True)
    there, back = steps(seen, replace(offered[0], arrive=0.0))
    _, degrees_of_items = degrees(seen)
    able = np.flatnonzero(np.diff(sought.indptr))
    height = max(1, _CELLS_PER_BLOCK // seen.shape[1])
    won: list[list[NDArray[np.float64]]] = [[] for _ in offered]
    for begin in range(0, len(able), height):
        some = able[begin : begin + height]
        mine = known[some]
        near = (mine @ there @ back).toarray()
        near[mine.nonzero()] = -np.inf
        for count in {settings.tastes for settings in offered}:
            far = (mine @ low.encoder[:, :count]) @ low.decoder[:count]
            for number, settings in enumerate(offered):
                if settings.tastes == count:
                    arriving = (degrees_of_items**-settings.arrive).astype(np.float32)
                    won[number].append(_won(near * arriving + np.float32(settings.alpha) * far, sought[some]))
    return [float(np.concatenate(each).mean()) if each else 0.0 for each in won]


def _won(found: NDArray[np.float32], wanted: sparse.csr_array) -> NDArray[np.float64]:
    """Each row's NDCG@25."""
    discounts = 1 / np.log2(np.arange(DEPTH) + 2)
    ideal = np.cumsum(discounts)
    hits = np.take_along_axis(wanted.toarray(), _top(found), axis=1) > 0
    most = np.minimum(np.diff(wanted.indptr), DEPTH)
    won: NDArray[np.float64] = (hits * discounts[: hits.shape[1]]).sum(axis=1) / ideal[most - 1]
    return won


def _top(found: NDArray[np.float32]) -> NDArray[np.int64]:
    """Each row's 25 best, or all where there are no more."""
    last = min(DEPTH, found.shape[1]) - 1
    some = np.argpartition(-found, last, axis=1)[:, : last + 1]
    order = np.argsort(-np.take_along_axis(found, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)
