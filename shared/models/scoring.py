"""The meaning of a model's scores, and the selection of the highest."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Scores = NDArray[np.float64]
Numbers = NDArray[np.int64]

_SAMPLE = 256
"""Scores that are sorted to estimate how many are equal."""
_MANY_EQUAL = 0.6
"""Share of equal scores in the sample from which on sorting is faster: measured with 448 × 3,120 scores."""

_GROUPS_PER_PLACE = 4
"""Groups of scores per place of the result. With 4, about a seventh more than the limit reach the bound."""
_MIN_GROUP_SIZE = 8
"""Scores of a group from which on the bound is used. Arbitrary."""

DECIMALS = 7
"""Decimals of a score in Personalize's answers."""


class Scoring(BaseModel):
    """The reading of histories and the meaning of scores of a model; kept in `meta.json`.

    `kind` is what a query names: a user, an item, or nothing (popular items for everybody).
    `event_types` are canonical names with `type_weights` beside them; the last one, "", stands for
    every other type. `scored` says whether answers on the wire have scores. `scale` is
    softmax (a distribution over the catalogue, divided by `temperature` first) or plain (the mean itself).
    With `whole`, a history is the set of all its items, each with weight 1 whatever its age.
    `exclude_seen` leaves out items of the user's events, `exclude_bought` those of the user's purchases.
    `prior` is the weight of overall popularity beside the components.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["user", "item", "popular"]
    scored: bool
    scale: Literal["softmax", "plain"] = "plain"
    temperature: float = 1.0
    prior: float = 0.0
    exclude_seen: bool = False
    whole: bool = False
    exclude_bought: bool = False
    event_types: tuple[str, ...] = ("",)
    type_weights: tuple[float, ...] = (1.0,)


def best(scores: NDArray[Any], limit: int, allowed: NDArray[np.bool_] | None = None) -> Numbers:
    """Return the numbers of the highest scores, best first: int64[items].

    Ties go by number, and −inf is left out. `scores` and `allowed` have one cell per item. Selecting the
    allowed items first is faster than setting the others to −inf.
    """
    if allowed is not None:
        candidates = np.flatnonzero(allowed)
        return candidates[best(scores[candidates], limit)]
    count = len(scores)
    is_cut = limit < count
    candidates = np.flatnonzero(scores >= _lower_bound(scores, limit)) if is_cut else np.arange(count)
    order = np.argsort(-scores[candidates], kind="stable")[:limit]
    top = candidates[order]
    kept: Numbers = top[scores[top] > -np.inf]
    return kept


def _lower_bound(scores: NDArray[Any], limit: int) -> Any:
    """Return a score that at least `limit` of the scores reach, and few more unless many are equal.

    The scores are split into groups, each of which has its highest one, so the `limit`-th highest of these
    is such a bound. Finding it takes one pass instead of a partition of all scores.
    """
    groups = _GROUPS_PER_PLACE * limit
    if groups * _MIN_GROUP_SIZE > len(scores):
        return nth_highest(scores.copy(), limit)
    size = len(scores) // groups
    return nth_highest(scores[: size * groups].reshape(size, groups).max(axis=0), limit)


def nth_highest(scores: NDArray[Any], place: int) -> NDArray[Any]:
    """Return the `place`-th highest score along the last axis; reorders `scores`.

    `scores` is float[items] or float[rows, items]; the result has no last axis. A partition by numpy
    takes up to ten times as long as a sort where many scores are equal, as zeros are.
    """
    sample = np.sort(scores.reshape(-1)[:: scores.size // _SAMPLE + 1])
    if np.count_nonzero(sample[1:] == sample[:-1]) > len(sample) * _MANY_EQUAL:
        scores.sort(axis=-1)
    else:
        scores.partition(-place, axis=-1)
    return scores[..., -place]


def places(mask: NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
    """Return the rows and columns where a bool[rows, columns] is True: int64[cells] each.

    In two dimensions np.nonzero takes several times as long.
    """
    flat = np.flatnonzero(mask)
    return np.divmod(flat, mask.shape[1])


def normalized(scores: Scores) -> Scores:
    """Return scores divided by their sum, or equal ones where that is 0: float64[items]."""
    total = float(scores.sum())
    shares = scores / total if total > 0 else np.full(len(scores), 1 / len(scores))
    rounded: Scores = shares.round(DECIMALS)
    return rounded
