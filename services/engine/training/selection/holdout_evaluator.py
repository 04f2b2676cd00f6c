"""Judging candidates on users held out of the training data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from services.engine.training.dataset.columns import count_numbers, take
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import TypeWeights
from services.engine.training.dataset.events import distinct_pairs
from services.engine.training.dataset.split import eligible, hold_out
from services.engine.training.fitting import DEPTH
from services.engine.training.selection import dense_scores
from services.engine.training.selection.candidates import FEW_EVENTS, Build
from services.engine.training.selection.folds import Fold
from shared.models import Neighbours, ScoringComponent, Table
from shared.models.histories import WeightedEvents
from shared.models.neighbours import Unit
from shared.models.scoring import Numbers, nth_highest, places
from shared.models.workspace import Workspace

Scores = NDArray[np.float32]
Gains = NDArray[np.float64]

_CELLS_PER_CHUNK = 1 << 17

_MANY = 4
_USERS = 1_500
_USERS_OF_FEW = 3_000
_EVENTS = 500_000
_CELLS = 16_000_000
_CELLS_WITHOUT_REPEATS = 32_000_000
_EVENTS_OF_NEWEST = 1_000_000
_CELLS_OF_NEWEST = 32_000_000
_FEWEST_USERS = 20
_FEWEST_ASKED = 200
_MOST_DRAWS = 6
_ROWS_OF_ALL_DRAWS = 1_400
_ENOUGH = 440
"""Held-out users from which on one fold and one draw are used."""
_SHARE = 0.25


@dataclass(frozen=True)
class HoldoutEvaluator:
    """Folds whose rows are judged as one.

    `share` is the share of all users whose interactions are used here.
    """

    folds: Sequence[Fold]
    share: float
    excluded: NDArray[np.bool_]
    relevant: NDArray[np.bool_]
    dense_tables: dense_scores.DenseTables = field(
        default_factory=dense_scores.DenseTables, repr=False, compare=False
    )

    @classmethod
    def of(cls, dataset: Dataset) -> HoldoutEvaluator | None:
        """Hold out enough users to tell candidates apart; None when there are too few to do so.

        A quarter of the users at most; where that is fewer than 440, two such quarters in turn. Half of them
        are strangers to the training data and half are known to it with what they are seen to do, as
        users will be when the model serves. The draw depends on the data alone.
        """
        everybody = dataset.active_users
        dataset = sampled(dataset)
        users = eligible(dataset)
        if len(users) < _FEWEST_USERS:
            return None
        most = _most(dataset)
        size = min(most, int(len(users) * _SHARE))
        shuffled = np.random.default_rng(1).permutation(users)
        turns = 2 if size < _ENOUGH and 4 * size <= most else 1
        folds = []
        for turn in range(turns):
            drawn = shuffled[turn * size : (turn + 1) * size]
            folds.append(Fold.of(hold_out(dataset, drawn, whole_moments=True, known=drawn[::2])))
        return cls._over(folds, dataset.active_users / everybody)

    @classmethod
    def of_newest(cls, dataset: Dataset) -> HoldoutEvaluator | None:
        """Hold out the users whose events are the newest, all of them strangers to the training data.

        So are sessions when a model serves. Of many sessions the newest that make a million
        interactions are drawn from.
        """
        everybody = dataset.active_users
        users = eligible(dataset)
        if len(users) < _FEWEST_USERS:
            return None
        ended = np.zeros(len(dataset.user_ids), np.int64)
        for some in dataset.chunks():
            np.maximum.at(ended, some.users, some.times)
        newest = users[np.argsort(-ended[users], kind="stable")]
        most = min(_USERS, max(_FEWEST_ASKED, _CELLS_OF_NEWEST // len(dataset.item_ids)))
        held = newest[: min(most, int(len(users) * _SHARE))]
        dataset = newest_users(dataset, ended)
        share = dataset.active_users / everybody
        return cls._over([Fold.of(hold_out(dataset, held, whole_moments=True))], share)

    @classmethod
    def _over(cls, folds: Sequence[Fold], share: float) -> HoldoutEvaluator:
        excluded = np.concatenate([fold.excluded for fold in folds])
        return cls(folds, share, excluded, np.concatenate([fold.relevant for fold in folds]))

    def some(self, most: int) -> HoldoutEvaluator:
        """The same with `most` of the rows at most, evenly spaced, to compare candidates quickly."""
        step = -(-len(self.relevant) // most)
        if step == 1:
            return self
        some = HoldoutEvaluator._over([fold.every(step) for fold in self.folds], self.share)
        return replace(some, dense_tables=self.dense_tables)

    def tables(self, build: Build, weights: TypeWeights) -> list[Table]:
        """One table per fold, from its training data."""
        return [build(fold.train, weights) for fold in self.folds]

    def scores(self, tables: Sequence[Table], weights: TypeWeights, decay: float, unit: Unit) -> Scores:
        """A part's scores for every row, (rows, items) float32."""
        stacked = []
        for fold, table in zip(self.folds, tables, strict=True):
            seen, shape = fold.events(weights), fold.excluded.shape
            if isinstance(table, Neighbours) and dense_scores.fits(table):
                shares = seen.shares(decay, unit)
                stacked.append(self.dense_tables.scores(table, seen, shares, shape[0]))
            else:
                stacked.append(_scores(ScoringComponent("candidate", table, 1.0, decay, unit), seen, shape))
        return np.concatenate(stacked)

    @cached_property
    def draws(self) -> NDArray[np.float64]:
        """Weights of the rows, which sum to 1: draws of as many rows with replacement, (draws, rows).

        With few rows, what is best follows chance: it is asked of several draws. Many rows are one draw,
        in which each counts alike.
        """
        rows = len(self.relevant)
        count = min(_MOST_DRAWS, _ROWS_OF_ALL_DRAWS // rows)
        if rows >= _ENOUGH or count < 2:
            return np.full((1, rows), 1 / rows)
        drawn = np.random.default_rng(4).multinomial(rows, np.full(rows, 1 / rows), size=count)
        return np.asarray(drawn / rows, np.float64)

    def gain(self, scores: Scores, *, exclude_seen: bool) -> float:
        """The mean of what the rows gain."""
        return float(self.gains(scores, exclude_seen=exclude_seen).mean())

    def gains(self, scores: Scores, *, exclude_seen: bool) -> Gains:
        """What each row gains: a third NDCG@25, two thirds what was found of all that is relevant.

        The ideal list has everything relevant at its top, and 25 things at most can be found. A thing found
        counts alike in all rows, in units that make the ideal's mean 1. Where one thing is relevant, its
        place is everything: NDCG alone. An item ranks behind all that score as much: where nothing is
        known, nothing is gained.
        """
        if exclude_seen:
            excluded = places(self.excluded)
            kept = scores[excluded]
            scores[excluded] = -np.inf
        rows, items = places(self.relevant)
        hopeful = self._hopeful(scores, rows, items)
        rows, items = rows[hopeful], items[hopeful]
        ranks = _ranks(scores, rows, items)
        if exclude_seen:
            scores[excluded] = kept
        found = ranks < DEPTH
        discounts = 1 / np.log2(np.arange(DEPTH) + 2)
        ideal = np.concatenate(([0.0], np.cumsum(discounts)))
        most = np.minimum(self.relevant.sum(axis=1), DEPTH)
        won = np.bincount(rows[found], weights=discounts[ranks[found]], minlength=len(scores)) / ideal[most]
        several = most > 1
        unit = most.mean(where=several) if several.any() else 1.0
        got = np.bincount(rows[found], minlength=len(scores)) / unit
        gained: Gains = np.where(several, (won + 2 * got) / 3, won)
        return gained

    def _hopeful(self, scores: Scores, rows: Numbers, items: Numbers) -> NDArray[np.bool_]:
        """Which of the relevant items may be among the first 25: worth knowing where there are many."""
        if len(rows) <= _MANY * len(scores) or scores.shape[1] <= DEPTH:
            return np.ones(len(rows), bool)
        height = max(1, _CELLS_PER_CHUNK // scores.shape[1])
        lowest = np.empty(len(scores), np.float32)
        spare = np.empty((height, scores.shape[1]), np.float32)
        for begin in range(0, len(scores), height):
            block = spare[: len(scores[begin : begin + height])]
            block[:] = scores[begin : begin + height]
            lowest[begin : begin + height] = nth_highest(block, DEPTH)
        hopeful: NDArray[np.bool_] = scores[rows, items] >= lowest[rows]
        return hopeful


def _ranks(scores: Scores, rows: Numbers, items: Numbers) -> Numbers:
    """How many other items of its row score as much as each of these, or more."""
    own = scores[rows, items]
    ranks = np.empty(len(rows), np.int64)
    height = max(1, _CELLS_PER_CHUNK // scores.shape[1])
    block = np.empty((height, scores.shape[1]), np.float32)
    reached = np.empty((height, scores.shape[1]), bool)
    counter = np.min_scalar_type(scores.shape[1])
    for begin in range(0, len(rows), height):
        some = slice(begin, begin + height)
        count = len(rows[some])
        np.take(scores, rows[some], axis=0, out=block[:count], mode="clip")
        np.greater_equal(block[:count], own[some, None], out=reached[:count])
        # Short integers are added up in half the time that np.count_nonzero takes along an axis.
        ranks[some] = reached[:count].view(np.uint8).sum(axis=1, dtype=counter)
    return ranks - 1


def _most(dataset: Dataset) -> int:
    """How many users to ask: by the events, for the time, and by the items, for the memory.

    Where nobody comes back to an item, one way of treating seen items is tried, and twice the rows fit.
    """
    width = len(dataset.item_ids)
    if len(dataset) > FEW_EVENTS:
        return min(_USERS, max(_FEWEST_ASKED, _CELLS // width))
    pairs, _ = distinct_pairs(dataset.users, dataset.items, width)
    cells = _CELLS_WITHOUT_REPEATS if len(pairs) == len(dataset) else _CELLS
    return min(_USERS_OF_FEW, max(_FEWEST_ASKED, cells // width))


def sampled(dataset: Dataset) -> Dataset:
    """The interactions of as many users, drawn at random, as make half a million interactions.

    What is chosen there holds for the whole, and choosing takes no longer for ten times the users.
    """
    if len(dataset) <= _EVENTS:
        return dataset
    users = len(dataset.user_ids)
    kept = np.random.default_rng(2).random(users) < _EVENTS / len(dataset)
    return dataset.where(take(kept, dataset.users))


def newest_users(dataset: Dataset, ended: NDArray[np.int64]) -> Dataset:
    """The interactions of the users whose events ended last, a million at most."""
    if len(dataset) <= _EVENTS_OF_NEWEST:
        return dataset
    order = np.argsort(-ended, kind="stable")
    counts = count_numbers(dataset.users, len(ended))
    kept = np.zeros(len(ended), bool)
    kept[order] = np.cumsum(counts[order]) <= _EVENTS_OF_NEWEST
    return dataset.where(take(kept, dataset.users))


def _scores(part: ScoringComponent, seen: WeightedEvents, shape: tuple[int, int]) -> Scores:
    scores = np.empty(shape, np.float32)
    height = max(1, _CELLS_PER_CHUNK // shape[1])
    space = Workspace(height, shape[1])
    for begin in range(0, shape[0], height):
        end = min(begin + height, shape[0])
        scores[begin:end] = space.scores([part], seen.rows(begin, end), end - begin)
    return scores
