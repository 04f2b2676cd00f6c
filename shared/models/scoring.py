"""What a model's scores mean, and how the best few are found among them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Scores = NDArray[np.float64]
Numbers = NDArray[np.int64]

DECIMALS = 7
"""How many decimals Personalize shows of a score."""


class Scoring(BaseModel):
    """How a model reads histories and what its scores mean; kept in `meta.json`.

    `kind` is what a query names: a user, an item, or nothing (popular items for everybody).
    `event_types` are canonical names with `type_weights` beside them; the last one, "", stands for
    every other type. `scored` says whether the wire shows scores. `scale` is softmax (a distribution
    over the whole catalogue, divided by `temperature` first) or plain (the weighted mean itself).
    With `whole`, a history is the set of all its items, each of which counts once and in full.
    `exclude_bought` keeps out what a user ever bought. `prior` is the weight of overall popularity beside
    the parts.
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


def best(scores: NDArray[Any], limit: int, among: NDArray[np.bool_] | None = None) -> Numbers:
    """The numbers of the highest scores, best first; ties by number; −inf never.

    Only of those that `among` marks: to look at the marked ones alone is quicker than to bar the others,
    since a partition is slow where many are equal.
    """
    if among is not None:
        marked = np.flatnonzero(among)
        return marked[best(scores[marked], limit)]
    count = len(scores)
    if limit < count:
        lowest = np.partition(scores, count - limit)[count - limit]
        candidates = np.flatnonzero(scores >= lowest)
    else:
        candidates = np.arange(count)
    order = np.argsort(-scores[candidates], kind="stable")[:limit]
    chosen = candidates[order]
    kept: Numbers = chosen[scores[chosen] > -np.inf]
    return kept


def places(marked: NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
    """Rows and columns of the marks: np.nonzero takes several times as long in two dimensions."""
    flat = np.flatnonzero(marked)
    return np.divmod(flat, marked.shape[1])


def shares_of(scores: Scores) -> Scores:
    """Scores as shares of their sum; equal ones where all are nothing."""
    total = float(scores.sum())
    shares = scores / total if total > 0 else np.full(len(scores), 1 / len(scores))
    rounded: Scores = shares.round(DECIMALS)
    return rounded
