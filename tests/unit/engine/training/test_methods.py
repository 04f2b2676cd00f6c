"""Each method's arrays against a slow way of computing them from its definition."""

from __future__ import annotations

from collections import Counter, defaultdict
from math import sqrt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from services.engine.training.dataset.dataset import Dataset
from services.engine.training.methods import ease, neighbour_tables, rp3beta, transitions
from services.engine.training.methods.ease import ease as ease_weights
from services.engine.training.methods.stan import stan
from shared.models.histories import WeightedEvents
from shared.models.neighbours import Neighbours

ITEMS = 6

walks_of_users = st.lists(
    st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=15), min_size=1, max_size=5
)


def weighted_events(walks: list[list[int]]) -> WeightedEvents:
    users = [user for user, walk in enumerate(walks) for _ in walk]
    items = [item for walk in walks for item in walk]
    return WeightedEvents(
        np.array(users), np.array(items, np.int32), np.arange(len(users)), np.ones(len(users))
    )


@given(
    walks_of_users,
    st.sampled_from([0.5, 0.8, 1.0]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([(10, 0.5), (3, 0.5), (20, 0.3)]),
)
def test_followers_are_decayed_directed_counts(
    walks: list[list[int]], fade: float, backward: float, far: tuple[int, float]
) -> None:
    reach, arrive = far
    counts: dict[tuple[int, int], float] = defaultdict(float)
    for walk in walks:
        for place, head in enumerate(walk):
            for step, tail in enumerate(walk[place + 1 : place + 1 + reach], 1):
                if head != tail:
                    counts[head, tail] += fade**step
                    counts[tail, head] += backward * fade**step
    fame = Counter(item for walk in walks for item in walk)
    settings: dict[str, Any] = {"decay": fade, "backward": backward, "reach": reach, "target_norm": arrive}
    found = transitions.transition_counts([weighted_events(walks)], ITEMS, **settings).toarray()
    for head in range(ITEMS):
        for tail in range(ITEMS):
            expected = counts[head, tail] / (max(fame[head], 1e-9) ** 0.5 * max(fame[tail], 1e-9) ** arrive)
            assert found[head, tail] == pytest.approx(expected, abs=1e-4)


def test_followers_are_the_same_in_chunks() -> None:
    random = np.random.default_rng(4)
    walks = [random.integers(0, ITEMS, random.integers(1, 20)).tolist() for _ in range(30)]
    whole = transitions.transition_counts([weighted_events(walks)], ITEMS).toarray()
    parts = [weighted_events(walks[:7]), weighted_events(walks[7:8]), weighted_events(walks[8:])]
    np.testing.assert_allclose(transitions.transition_counts(parts, ITEMS).toarray(), whole, rtol=1e-5)


def test_followers_count_their_types_weights() -> None:
    seen = WeightedEvents(np.array([0, 0]), np.array([0, 1], np.int32), np.arange(2), np.array([0.2, 1.0]))
    found = transitions.transition_counts([seen], 2, decay=0.8, backward=0.5).toarray()
    assert found[0, 1] == pytest.approx(0.8 * 0.2 / sqrt(0.2))


def dense(table: Neighbours) -> np.ndarray:
    return np.asarray(neighbour_tables.matrix(table).toarray())


@pytest.mark.parametrize("shape", [(40, 12), (12, 40)], ids=["more users", "more items"])
def test_ease_is_the_inverse_of_its_paper(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    seen = (random.random(shape) < 0.3).astype(np.float64)
    inverse = np.linalg.inv(seen.T @ seen + 5.0 * np.eye(shape[1]))
    expected = -inverse / inverse.diagonal()
    np.fill_diagonal(expected, 0)
    found = dense(ease_weights(sparse.csr_array(seen.astype(np.float32)), 5.0, shape[1]))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_ease_keeps_the_largest_magnitudes() -> None:
    random = np.random.default_rng(2)
    seen = sparse.csr_array((random.random((60, 20)) < 0.3).astype(np.float32))
    whole, cut = dense(ease_weights(seen, 5.0, 20)), ease_weights(seen, 5.0, 4)
    assert np.diff(cut.offsets).tolist() == [4] * 20
    for item in range(20):
        near, weights = cut.row(item)
        assert np.abs(weights).tolist() == sorted(np.abs(whole[item]), reverse=True)[:4]
        assert whole[item, near].tolist() == weights.tolist()


def test_a_ridge_too_small_is_an_error_not_a_nan() -> None:
    seen = sparse.csr_array(np.array([[1, 1, 1], [1, 1, 1], [1, 1, 1]], np.float32))
    with pytest.raises(ArithmeticError, match="ridge is too small"):
        ease_weights(seen, 0.0, 3)


def test_what_is_too_wide_is_not_solved() -> None:
    assert ease.fits(users=1_000_000, items=15_000)
    assert ease.fits(users=600, items=100_000)
    assert not ease.fits(users=180_000, items=100_000)


def test_walks_are_those_of_rp3beta() -> None:
    random = np.random.default_rng(3)
    seen = (random.random((30, 10)) < 0.3).astype(np.float64)
    forward = (seen.T / np.maximum(seen.T.sum(1, keepdims=True), 1)) ** 0.7
    back = (seen / np.maximum(seen.sum(1, keepdims=True), 1)) ** 0.7
    expected = (forward @ back) / np.maximum(seen.sum(0), 1) ** 0.3
    np.fill_diagonal(expected, 0)
    found = dense(rp3beta.rp3beta(sparse.csr_array(seen.astype(np.float32)), keep=10))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@given(st.integers(1, 12), st.integers(1, 8), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_sparse_and_dense_rows_are_cut_alike(count: int, keep: int, height: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    values = np.round(random.normal(size=(count, count)), 3).astype(np.float32)
    values[random.random(values.shape) < 0.4] = 0
    stored = sparse.csr_array(values)
    one = neighbour_tables.strongest(lambda low, high: values[low:high], count, keep)
    other = neighbour_tables.strongest_of_sparse(lambda low, high: stored[low:high], count, keep, height)
    for item in range(count):
        strongest_first = sorted(
            np.flatnonzero(values[item]), key=lambda near: (-abs(values[item, near]), near)
        )
        for table in (one, other):
            near, weights = table.row(item)
            assert near.tolist() == strongest_first[:keep]
            assert values[item, near].tolist() == weights.tolist()


def test_rows_of_a_wide_catalogue_are_cut_as_others_are() -> None:
    """Row, weight and item are too long for one integer there, so that they are sorted in several pieces."""
    count = 300_000
    random = np.random.default_rng(2)
    weights = random.choice([-2, -1, 1, 2], 4 * count).astype(np.float32)
    entries = (random.integers(0, count, 4 * count), random.integers(0, count, 4 * count))
    stored = sparse.coo_array((weights, entries), shape=(count, count)).tocsr()
    one = neighbour_tables.strongest_of_sparse(lambda low, high: stored[low:high], count, 2, count)
    other = neighbour_tables.strongest_of_sparse(lambda low, high: stored[low:high], count, 2, 4_000)
    for name, column in one.arrays().items():
        assert np.array_equal(column, other.arrays()[name])


def test_sessions_before_1970_count_by_their_age_as_others_do() -> None:
    """The newest one in full, the oldest e times less, whatever the clock said."""
    rows = {"USER_ID": ["a", "a", "b", "b"], "ITEM_ID": ["x", "y", "x", "z"]}
    scales = []
    for start in (-1_000_000, 1_000_000):
        times = [start, start + 1, start + 50, start + 60]
        dataset = Dataset.from_arrow(pa.table({**rows, "TIMESTAMP": times}))
        scales.append(stan(dataset, {}, reach=3.0).scale)
    np.testing.assert_allclose(scales[0], scales[1])
    np.testing.assert_allclose(scales[0], np.array([np.exp(-1), 1]) / np.sqrt(2), rtol=1e-6)
