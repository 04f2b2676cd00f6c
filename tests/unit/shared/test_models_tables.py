"""NearestProfiles, walks and tastes against slow ways of computing them from their definitions."""

from __future__ import annotations

from collections import defaultdict
from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models import LatentFactors, NearestProfiles, ScoringComponent, TwoStepWalk
from shared.models.histories import WeightedEvents
from shared.models.workspace import Workspace

ITEMS = 5

rows_of_items = st.lists(st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=6), min_size=1, max_size=8)
queries = st.lists(st.lists(st.integers(0, ITEMS - 1), max_size=5), min_size=1, max_size=3)


def weighted_events(histories: list[list[int]]) -> WeightedEvents:
    users = [user for user, history in enumerate(histories) for _ in history]
    items = [item for history in histories for item in history]
    return WeightedEvents(
        np.array(users, np.int64), np.array(items, np.int32), np.arange(len(users)), np.ones(len(users))
    )


def peers(rows: list[list[int]], nearest: int, reach: float) -> NearestProfiles:
    random = np.random.default_rng(len(rows))
    items = np.array([item for row in rows for item in row], np.int32)
    offsets = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
    fame = np.bincount(items, minlength=ITEMS)
    return NearestProfiles(
        offsets=offsets,
        items=items,
        entry_rows=np.repeat(np.arange(len(rows)), np.diff(offsets)).astype(np.int32),
        match_weights=random.random(len(items)).astype(np.float32),
        weights=random.random(len(items)).astype(np.float32),
        item_offsets=np.concatenate(([0], np.cumsum(fame))),
        item_entries=np.argsort(items, kind="stable").astype(np.int32),
        scale=random.random(len(rows)).astype(np.float32),
        nearest=nearest,
        reach=reach,
    )


def said_by_peers(
    table: NearestProfiles, rows: list[list[int]], history: list[int], decay: float
) -> np.ndarray:
    """What the table says of one history, word for word as its docstring has it."""
    shares = np.array([decay ** (len(history) - 1 - place) for place in range(len(history))])
    shares /= shares.sum()
    alike: dict[int, float] = defaultdict(float)
    anchor: dict[int, int] = {}
    for share, item in zip(shares, history, strict=True):
        for place, other in enumerate(table.items):
            if other == item:
                row = int(table.entry_rows[place])
                alike[row] += share * table.match_weights[place] * table.scale[row]
                anchor[row] = place
    said = np.zeros(ITEMS)
    nearest = sorted(alike, key=lambda row: -alike[row])[: table.nearest]
    total = sum(alike[row] for row in nearest)
    for row in nearest:
        for place in range(table.offsets[row], table.offsets[row + 1]):
            steps = abs(place - anchor[row])
            near = 1.0 if table.reach == 0 else exp(-steps / table.reach) if steps else 0.0
            said[table.items[place]] += alike[row] / total * table.weights[place] * near
    return said


@given(rows_of_items, queries, st.sampled_from([2, 50]), st.sampled_from([0.0, 1.5]))
def test_scores_of_nearest_profiles_are_sums_over_their_rows(
    rows: list[list[int]], histories: list[list[int]], nearest: int, reach: float
) -> None:
    table = peers(rows, nearest, reach)
    scores = Workspace(len(histories), ITEMS).scores(
        [ScoringComponent("peers", table, 2.0, 0.5)], weighted_events(histories), len(histories)
    )
    for history, found in zip(histories, scores, strict=True):
        np.testing.assert_allclose(found, 2 * said_by_peers(table, rows, history, 0.5), atol=1e-6)


def walks(random: np.random.Generator, users: int) -> tuple[TwoStepWalk, np.ndarray]:
    there = random.random((ITEMS, users)) * (random.random((ITEMS, users)) < 0.5)
    back = random.random((users, ITEMS)) * (random.random((users, ITEMS)) < 0.5)

    def compressed(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        row, column = np.nonzero(matrix)
        offsets = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=len(matrix)))))
        return offsets, column.astype(np.int32), matrix[row, column].astype(np.float32)

    return TwoStepWalk(*compressed(there), *compressed(back)), there @ back


@pytest.mark.parametrize("seed", range(5))
def test_walks_are_a_product_of_two_tables(seed: int) -> None:
    random = np.random.default_rng(seed)
    table, product = walks(random, users=7)
    histories: list[list[int]] = [[0, 3], [], [4], [1, 2, 1]]
    scores = Workspace(4, ITEMS).scores([ScoringComponent("walks", table)], weighted_events(histories), 4)
    for history, found in zip(histories, scores, strict=True):
        expected = product[history].mean(axis=0) if history else np.zeros(ITEMS)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_latent_factors_are_a_table_of_low_rank() -> None:
    random = np.random.default_rng(3)
    enter, leave = random.random((ITEMS, 2)), random.random((2, ITEMS))
    table = LatentFactors(enter.astype(np.float32), leave.astype(np.float32))
    histories: list[list[int]] = [[0, 3], [], [4]]
    scores = Workspace(3, ITEMS).scores(
        [ScoringComponent("tastes", table, 3.0)], weighted_events(histories), 3
    )
    for history, found in zip(histories, scores, strict=True):
        expected = 3 * (enter @ leave)[history].mean(axis=0) if history else np.zeros(ITEMS)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
