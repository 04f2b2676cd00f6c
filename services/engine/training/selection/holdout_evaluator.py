"""Evaluation of candidates on users held out of the training data."""

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
from services.engine.training.selection.candidates import FEW_EVENTS, Build
from services.engine.training.selection.dense_scores import DenseTables, has_dense_copy
from services.engine.training.selection.folds import Fold
from shared.models import Neighbours, ScoringComponent, Table
from shared.models.histories import WeightedEvents
from shared.models.neighbours import Unit
from shared.models.scoring import Numbers, nth_highest, places
from shared.models.workspace import Workspace

Scores = NDArray[np.float32]
Gains = NDArray[np.float64]

_CELLS_PER_CHUNK = 1 << 17
"""Scores that are compared together: half a megabyte, which stays in a core's cache."""
_MANY_PER_ROW = 4
"""Relevant items of a row, on average, from which on only those that may be among the first 25 are ranked."""
_USERS = 1_500
_USERS_OF_FEW_EVENTS = 3_000
_FEWEST_USERS = 20
_LEAST_LIMIT = 200
"""Users that are held out whatever the memory they take."""
_EVENTS = 500_000
_CELLS = 16_000_000
"""Scores of all rows: 64 MB for each configuration that is kept."""
_CELLS_WITHOUT_REPEATS = 32_000_000
_EVENTS_OF_NEWEST = 1_000_000
_CELLS_OF_NEWEST = 32_000_000
_MOST_DRAWS = 6
_ROWS_OF_ALL_DRAWS = 1_400
_ENOUGH = 440
"""Held-out users from which on one fold and one draw are used."""
_SHARE = 0.25


@dataclass(frozen=True)
class HoldoutEvaluator:
    """Held-out users as rows, over all folds: `excluded` and `relevant` are bool[rows, items].

    A row is seen with its older events and evaluated by its newest ones. `share` is the share of all users
    whose interactions are used here.
    """

    folds: Sequence[Fold]
    share: float
    excluded: NDArray[np.bool_]
    relevant: NDArray[np.bool_]
    dense_tables: DenseTables = field(default_factory=DenseTables, repr=False, compare=False)

    @classmethod
    def of(cls, dataset: Dataset) -> HoldoutEvaluator | None:
        """Hold out enough users to tell candidates apart; return None when there are too few.

        A quarter of the users at most; where that is fewer than 440, two such quarters in turn. Half of them
        are unknown to the training data, half are known to it with their older events: a model will serve
        both. The draw depends on the data alone.
        """
        all_users = dataset.active_users
        dataset = sampled(dataset)
        users = eligible(dataset)
        if len(users) < _FEWEST_USERS:
            return None
        limit = _most_users(dataset)
        size = min(limit, int(len(users) * _SHARE))
        shuffled = np.random.default_rng(1).permutation(users)
        fold_count = 2 if size < _ENOUGH and 4 * size <= limit else 1
        folds = []
        for number in range(fold_count):
            held = shuffled[number * size : (number + 1) * size]
            folds.append(Fold.of(hold_out(dataset, held, whole_moments=True, known=held[::2])))
        return cls._over(folds, dataset.active_users / all_users)

    @classmethod
    def of_newest(cls, dataset: Dataset) -> HoldoutEvaluator | None:
        """Hold out the users with the newest events, all of them unknown to the training data.

        So are sessions when a model serves. Of many sessions, the newest that make a million interactions are
        used. Return None when there are too few.
        """
        all_users = dataset.active_users
        users = eligible(dataset)
        if len(users) < _FEWEST_USERS:
            return None
        ends = np.zeros(len(dataset.user_ids), np.int64)
        for chunk in dataset.chunks():
            np.maximum.at(ends, chunk.users, chunk.times)
        newest = users[np.argsort(-ends[users], kind="stable")]
        limit = min(_USERS, max(_LEAST_LIMIT, _CELLS_OF_NEWEST // len(dataset.item_ids)))
        held = newest[: min(limit, int(len(users) * _SHARE))]
        dataset = newest_users(dataset, ends)
        share = dataset.active_users / all_users
        return cls._over([Fold.of(hold_out(dataset, held, whole_moments=True))], share)

    @classmethod
    def _over(cls, folds: Sequence[Fold], share: float) -> HoldoutEvaluator:
        excluded = np.concatenate([fold.excluded for fold in folds])
        return cls(folds, share, excluded, np.concatenate([fold.relevant for fold in folds]))

    def subsample(self, most_rows: int) -> HoldoutEvaluator:
        """Return an evaluator of evenly spaced rows, `most_rows` at most, to compare candidates quickly."""
        step = -(-len(self.relevant) // most_rows)
        if step == 1:
            return self
        sample = HoldoutEvaluator._over([fold.every(step) for fold in self.folds], self.share)
        return replace(sample, dense_tables=self.dense_tables)

    def tables(self, build: Build, weights: TypeWeights) -> list[Table]:
        """Return one table per fold, built from its training data."""
        return [build(fold.train, weights) for fold in self.folds]

    def scores(self, tables: Sequence[Table], weights: TypeWeights, decay: float, unit: Unit) -> Scores:
        """Return a component's scores of all rows: float32[rows, items]."""
        scores = []
        for fold, table in zip(self.folds, tables, strict=True):
            events, shape = fold.events(weights), fold.excluded.shape
            if isinstance(table, Neighbours) and has_dense_copy(table):
                shares = events.shares(decay, unit)
                scores.append(self.dense_tables.scores(table, events, shares, shape[0]))
            else:
                component = ScoringComponent("candidate", table, 1.0, decay, unit)
                scores.append(_scores(component, events, shape))
        return np.concatenate(scores)

    @cached_property
    def draws(self) -> NDArray[np.float64]:
        """Return weights of the rows that sum to 1 in each draw: float64[draws, rows].

        Few rows choose by chance, so there are several draws of as many rows with replacement. Many rows are
        one draw, in which each has the same weight.
        """
        rows = len(self.relevant)
        count = min(_MOST_DRAWS, _ROWS_OF_ALL_DRAWS // rows)
        if rows >= _ENOUGH or count < 2:
            return np.full((1, rows), 1 / rows)
        drawn = np.random.default_rng(4).multinomial(rows, np.full(rows, 1 / rows), size=count)
        return np.asarray(drawn / rows, np.float64)

    def gain(self, scores: Scores, *, exclude_seen: bool) -> float:
        """Return the mean gain of the rows."""
        return float(self.gains(scores, exclude_seen=exclude_seen).mean())

    def gains(self, scores: Scores, *, exclude_seen: bool) -> Gains:
        """Return the gain of each row: a third NDCG@25, two thirds hits among the first 25; float64[rows].

        `scores` is float32[rows, items]. The ideal list has all relevant items at its top, 25 at most. A hit
        counts the same in all rows, in units that make the mean of ideal lists 1. A row with one relevant
        item gains its NDCG alone. An item ranks behind all others with its score, so a method that knows
        nothing gains nothing.
        """
        if exclude_seen:
            excluded = places(self.excluded)
            kept = scores[excluded]
            scores[excluded] = -np.inf
        rows, items = places(self.relevant)
        possible = self._possible_hits(scores, rows, items)
        rows, items = rows[possible], items[possible]
        ranks = _ranks(scores, rows, items)
        if exclude_seen:
            scores[excluded] = kept
        is_hit = ranks < DEPTH
        discounts = 1 / np.log2(np.arange(DEPTH) + 2)
        ideal = np.concatenate(([0.0], np.cumsum(discounts)))
        most_hits = np.minimum(self.relevant.sum(axis=1), DEPTH)
        row_count = len(scores)
        discounted = np.bincount(rows[is_hit], weights=discounts[ranks[is_hit]], minlength=row_count)
        ndcg = discounted / ideal[most_hits]
        several = most_hits > 1
        unit = most_hits.mean(where=several) if several.any() else 1.0
        hits = np.bincount(rows[is_hit], minlength=row_count) / unit
        gains: Gains = np.where(several, (ndcg + 2 * hits) / 3, ndcg)
        return gains

    def _possible_hits(self, scores: Scores, rows: Numbers, items: Numbers) -> NDArray[np.bool_]:
        """Return which relevant items may be among the first 25: bool[relevant items]."""
        if len(rows) <= _MANY_PER_ROW * len(scores) or scores.shape[1] <= DEPTH:
            return np.ones(len(rows), bool)
        height = max(1, _CELLS_PER_CHUNK // scores.shape[1])
        lowest = np.empty(len(scores), np.float32)
        buffer = np.empty((height, scores.shape[1]), np.float32)
        for begin in range(0, len(scores), height):
            block = buffer[: len(scores[begin : begin + height])]
            block[:] = scores[begin : begin + height]
            lowest[begin : begin + height] = nth_highest(block, DEPTH)
        possible: NDArray[np.bool_] = scores[rows, items] >= lowest[rows]
        return possible


def sampled(dataset: Dataset) -> Dataset:
    """Return the interactions of users drawn at random, half a million interactions at most.

    What is selected there holds for the whole, and selection takes no longer for ten times the users.
    """
    if len(dataset) <= _EVENTS:
        return dataset
    users = len(dataset.user_ids)
    kept = np.random.default_rng(2).random(users) < _EVENTS / len(dataset)
    return dataset.where(take(kept, dataset.users))


def newest_users(dataset: Dataset, ends: NDArray[np.int64]) -> Dataset:
    """Return the interactions of the users with the newest `ends`, a million interactions at most.

    `ends` is int64[users]: the time of each user's newest event.
    """
    if len(dataset) <= _EVENTS_OF_NEWEST:
        return dataset
    order = np.argsort(-ends, kind="stable")
    counts = count_numbers(dataset.users, len(ends))
    kept = np.zeros(len(ends), bool)
    kept[order] = np.cumsum(counts[order]) <= _EVENTS_OF_NEWEST
    return dataset.where(take(kept, dataset.users))


def _ranks(scores: Scores, rows: Numbers, items: Numbers) -> Numbers:
    """Return how many other items of its row score as much as each item, or more: int64[items]."""
    own = scores[rows, items]
    ranks = np.empty(len(rows), np.int64)
    height = max(1, _CELLS_PER_CHUNK // scores.shape[1])
    block = np.empty((height, scores.shape[1]), np.float32)
    reached = np.empty((height, scores.shape[1]), bool)
    counter = np.min_scalar_type(scores.shape[1])
    for begin in range(0, len(rows), height):
        chunk = slice(begin, begin + height)
        count = len(rows[chunk])
        np.take(scores, rows[chunk], axis=0, out=block[:count], mode="clip")
        np.greater_equal(block[:count], own[chunk, None], out=reached[:count])
        # Short integers are added up in half the time that np.count_nonzero takes along an axis.
        ranks[chunk] = reached[:count].view(np.uint8).sum(axis=1, dtype=counter)
    return ranks - 1


def _most_users(dataset: Dataset) -> int:
    """Return how many users to hold out: by the events, for the time, and by the items, for the memory.

    Where nobody repeats an item, one value of exclude_seen is tried, and twice the rows fit.
    """
    width = len(dataset.item_ids)
    if len(dataset) > FEW_EVENTS:
        return min(_USERS, max(_LEAST_LIMIT, _CELLS // width))
    pairs, _ = distinct_pairs(dataset.users, dataset.items, width)
    cells = _CELLS_WITHOUT_REPEATS if len(pairs) == len(dataset) else _CELLS
    return min(_USERS_OF_FEW_EVENTS, max(_LEAST_LIMIT, cells // width))


def _scores(component: ScoringComponent, events: WeightedEvents, shape: tuple[int, int]) -> Scores:
    scores = np.empty(shape, np.float32)
    height = max(1, _CELLS_PER_CHUNK // shape[1])
    workspace = Workspace(height, shape[1])
    for begin in range(0, shape[0], height):
        end = min(begin + height, shape[0])
        scores[begin:end] = workspace.scores([component], events.rows(begin, end), end - begin)
    return scores
