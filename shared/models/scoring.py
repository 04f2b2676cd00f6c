"""From histories to a score for every item, and from scores to the best few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from shared.models.histories import Occasions, ranges
from shared.models.neighbours import Part

Scores = NDArray[np.float64]
Numbers = NDArray[np.int64]


class Scoring(BaseModel):
    """How a model reads histories and what its scores mean; kept in `meta.json`.

    `kind` is what a query names: a user, an item, or nothing (popular items for everybody).
    `event_types` are canonical names with `type_weights` beside them; the last one, "", stands for
    every other type. `scored` says whether the wire shows scores. `scale` is softmax (a distribution
    over the whole catalogue, divided by `temperature` first) or plain (the weighted mean itself).
    `prior` is the weight of overall popularity beside the parts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["user", "item", "popular"]
    scored: bool
    scale: Literal["softmax", "plain"] = "plain"
    temperature: float = 1.0
    prior: float = 0.0
    exclude_seen: bool = False
    event_types: tuple[str, ...] = ("",)
    type_weights: tuple[float, ...] = (1.0,)


def raw_scores(parts: Sequence[Part], seen: Occasions, rows: int, items: int) -> Scores:
    """The parts' weighted means over each row's events: shape (rows, items)."""
    total = np.zeros(rows * items)
    for part in parts:
        shares = seen.shares(part.decay, part.unit) * part.weight
        begins = part.table.offsets[seen.items]
        counts = part.table.offsets[seen.items + 1] - begins
        places = ranges(begins, counts)
        cells = np.repeat(seen.users * items, counts) + part.table.items[places]
        said = np.repeat(shares, counts) * part.table.weights[places]
        total += np.bincount(cells, weights=said, minlength=rows * items)
    return total.reshape(rows, items)


def best(scores: Scores, limit: int) -> Numbers:
    """The numbers of the highest scores, best first; ties by number; −inf never."""
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


def best_of_each(scores: Scores, limit: int) -> tuple[Numbers, Numbers]:
    """`best` for every row: (offsets, numbers), row r's being offsets[r]:offsets[r + 1]."""
    rows, count = scores.shape
    if limit < count:
        lowest = np.partition(scores, count - limit, axis=1)[:, count - limit, None]
        row, number = np.nonzero((scores >= lowest) & (scores > -np.inf))
    else:
        row, number = np.nonzero(scores > -np.inf)
    order = np.lexsort((-scores[row, number], row))
    row, number = row[order], number[order]
    found = np.bincount(row, minlength=rows)
    begins = np.cumsum(found) - found
    rank = np.arange(len(row)) - np.repeat(begins, found)
    number = number[rank < limit]
    offsets = np.concatenate(([0], np.cumsum(np.minimum(found, limit))))
    return offsets, number


def softmax(scores: Scores, temperature: float) -> Scores:
    """Each row as a distribution over the whole catalogue."""
    highest = scores.max(axis=-1, keepdims=True)
    likelihood = np.exp((scores - highest) / temperature)
    result: Scores = likelihood / likelihood.sum(axis=-1, keepdims=True)
    return result
