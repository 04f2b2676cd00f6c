"""Choosing a graph filter's powers on interactions held out of the training data itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from services.engine.recipes.metrics import DEPTH
from services.engine.recipes.spectrum import Filter, steps, tastes
from shared.models import Tastes

_USERS = 3_000
_FEWEST_ITEMS = 5
_SHARE = 0.2
_CELLS_PER_BLOCK = 16_000_000
_PATHS: tuple[tuple[str, tuple[float, ...]], ...] = (("arrive", (0.4, 0.3, 0.2)), ("leave", (0.6, 0.7, 0.4)))
"""What is tried in turn, from the paper's settings on: a value stays where it finds more."""


def chosen(seen: sparse.csr_array, start: Filter) -> tuple[Filter, dict[str, float]]:
    """The best filter found, and the NDCG@25 of all that were tried.

    A fifth of the items of 3,000 users at most, drawn at random, is to be found from the rest.
    """
    random = np.random.default_rng(3)
    able = np.flatnonzero(np.diff(seen.indptr) >= _FEWEST_ITEMS)
    users = np.sort(random.permutation(able)[:_USERS])
    if len(users) == 0:
        return start, {}
    rows = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
    late = np.isin(rows, users) & (random.random(len(rows)) < _SHARE)
    train = _of(seen, ~late)
    known, sought = train[users], _of(seen, late)[users]
    low = tastes(train, start.tastes)
    tried: dict[str, float] = {}

    def gain(settings: Filter) -> float:
        name = _name(settings)
        if name not in tried:
            tried[name] = round(_gain(known, sought, train, settings, low), 5)
        return tried[name]

    best = start
    for field, values in _PATHS:
        changes: list[dict[str, Any]] = [{field: value} for value in values]
        best = max((best, *(replace(best, **change) for change in changes)), key=gain)
    return best, tried


def scores(
    histories: sparse.csr_array, seen: sparse.csr_array, settings: Filter, low: Tastes
) -> NDArray[np.float32]:
    """What every item scores for some histories, dense."""
    there, back = steps(seen, settings)
    near = (histories @ there @ back).toarray()
    return np.asarray(near + np.float32(settings.alpha) * ((histories @ low.enter) @ low.leave), np.float32)


def _of(seen: sparse.csr_array, kept: NDArray[np.bool_]) -> sparse.csr_array:
    """The same matrix with some of its entries."""
    rows = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
    return sparse.csr_array((seen.data[kept], (rows[kept], seen.indices[kept])), shape=seen.shape)


def _name(settings: Filter) -> str:
    powers = f"leave {settings.leave}, through {settings.through}, arrive {settings.arrive}"
    return f"{powers}, alpha {settings.alpha}"


def _gain(
    known: sparse.csr_array,
    sought: sparse.csr_array,
    seen: sparse.csr_array,
    settings: Filter,
    low: Tastes,
) -> float:
    """The mean NDCG@25 of those who have something to be found."""
    discounts = 1 / np.log2(np.arange(DEPTH) + 2)
    ideal = np.concatenate(([0.0], np.cumsum(discounts)))
    height = max(1, _CELLS_PER_BLOCK // seen.shape[1])
    gains = []
    for begin in range(0, known.shape[0], height):
        some, wanted = known[begin : begin + height], sought[begin : begin + height].tocsr()
        found = scores(some, seen, settings, low)
        row, item = some.nonzero()
        found[row, item] = -np.inf
        hits = np.take_along_axis(wanted.toarray(), _top(found), axis=1) > 0
        most = np.minimum(np.diff(wanted.indptr), DEPTH)
        won = (hits * discounts[: hits.shape[1]]).sum(axis=1)
        gains.append((won / np.maximum(ideal[most], 1e-9))[most > 0])
    return float(np.concatenate(gains).mean()) if sum(map(len, gains)) else 0.0


def _top(found: NDArray[np.float32]) -> NDArray[np.int64]:
    """Each row's 25 best, or all where there are no more."""
    last = min(DEPTH, found.shape[1]) - 1
    some = np.argpartition(-found, last, axis=1)[:, : last + 1]
    order = np.argsort(-np.take_along_axis(found, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)
