"""endcap-graph against its paper, written out with dense matrices."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.fitting import silent
from services.engine.training.methods import gf_cf
from services.engine.training.methods.gf_cf import GraphFilter
from services.engine.training.recipes import RECIPES, Dataset
from services.engine.training.selection import graph_filter_search
from shared.models import Model
from tests.support.training import training_config

RECIPE = RECIPES["endcap-graph"]


def shop(matrix: np.ndarray) -> Dataset:
    """One interaction, all in one second, wherever the matrix has a 1."""
    users, items = np.nonzero(matrix)
    table = {
        "USER_ID": [f"u{user:03}" for user in users],
        "ITEM_ID": [f"i{item:03}" for item in items],
        "TIMESTAMP": np.full(len(users), 7),
    }
    everything = pa.table({"ITEM_ID": [f"i{item:03}" for item in range(matrix.shape[1])]})
    return Dataset.from_arrow(pa.table(table), everything)


@pytest.fixture
def seen() -> np.ndarray:
    """30 users of 140 items; the first has all but the last five."""
    matrix = (np.random.default_rng(8).random((30, 140)) < 0.1).astype(float)
    matrix[:, 0] = 1
    matrix[0] = np.arange(140) < 135
    return matrix


def scores(seen: np.ndarray, alpha: float, tastes: int) -> np.ndarray:
    users, items = seen.sum(axis=1), np.maximum(seen.sum(axis=0), 1)
    even = seen / np.sqrt(users)[:, None] / np.sqrt(items)
    _, _, rows = np.linalg.svd(even, full_matrices=False)
    low = (rows[:tastes].T / np.sqrt(items)[:, None]) @ (rows[:tastes] * np.sqrt(items))
    found: np.ndarray = seen @ even.T @ even + alpha * seen @ low
    return found


def order(model: Model, user: int, limit: int) -> list[int]:
    return [int(item[1:]) for item, _ in model.recommend(user_id=f"u{user:03}", limit=limit)]


def test_the_order_is_the_papers(seen: np.ndarray) -> None:
    config = training_config(algorithmHyperParameters={"tastes": "8", "alpha": "0.3"})
    model = RECIPE.fit(shop(seen), config, silent)
    expected = np.where(seen > 0, -np.inf, scores(seen, 0.3, 8))
    for user in range(len(seen)):
        fresh = int((seen[user] == 0).sum())
        best = np.argsort(-expected[user], kind="stable")[: min(10, fresh)]
        found = order(model, user, 10)
        np.testing.assert_allclose(expected[user, found], expected[user, best], atol=1e-5)


def test_even_walks_are_those_of_a_random_walker_beside_twice_as_many_factors(seen: np.ndarray) -> None:
    config = training_config(
        algorithmHyperParameters={"method": "even", "tastes": "4", "exclude_seen": "false"}
    )
    model = RECIPE.fit(shop(seen), config, silent)
    items = np.maximum(seen.sum(axis=0), 1)
    walker = (seen / items).T @ (seen / seen.sum(axis=1)[:, None])
    tastes = scores(seen, 1.0, 8) - scores(seen, 0.0, 8)
    expected = seen @ walker + 0.3 * tastes
    assert model.notes["filter"]["tastes"] == 8
    for user in range(len(seen)):
        found = order(model, user, 10)
        best = np.argsort(-expected[user], kind="stable")[:10]
        np.testing.assert_allclose(expected[user, found], expected[user, best], atol=1e-5)


def test_more_than_the_newest_hundred_items_count(seen: np.ndarray) -> None:
    """The first user's 135 items: with a hundred of them only, the scores would be others."""
    model = RECIPE.fit(
        shop(seen), training_config(algorithmHyperParameters={"exclude_seen": "false"}), silent
    )
    _, items, _ = next(iter(model.recommend_many(["u000"], 140)))
    expected = scores(seen, 0.3, 29)[0]
    np.testing.assert_allclose(
        expected[[int(item[1:]) for item in items]], np.sort(expected)[::-1], atol=1e-5
    )


def test_an_item_counts_once_however_often_it_was_met(seen: np.ndarray) -> None:
    model = RECIPE.fit(shop(seen), TrainingConfig(), silent)
    once = model.recommend(history=[("i003", "", 1), ("i004", "", 2)])
    again = model.recommend(history=[("i003", "", 1), ("i004", "", 2), ("i003", "", 900_000)])
    assert again == once


def test_the_few_factors_of_a_wide_matrix_are_the_same_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = sparse.csr_array((np.random.default_rng(1).random((60, 50)) < 0.2).astype(np.float32))
    dense = gf_cf.latent_factors(seen, 5)
    monkeypatch.setattr(gf_cf, "_DENSE_SIDE", 10)
    thin = gf_cf.latent_factors(seen, 5)
    np.testing.assert_allclose(thin.encoder @ thin.decoder, dense.encoder @ dense.decoder, atol=1e-5)


def test_approximate_factors_span_the_space_of_the_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight groups of users with items of their own: the rest of the spectrum lies far below."""
    random = np.random.default_rng(5)
    matrix = np.kron(np.eye(8), np.ones((40, 30))) * (random.random((320, 240)) < 0.4)
    seen = sparse.csr_array(matrix.astype(np.float32))
    exact = gf_cf.latent_factors(seen, 8)
    monkeypatch.setattr(gf_cf, "_DENSE_SIDE", 10)
    monkeypatch.setattr(gf_cf, "_ROWS_PER_BLOCK", 70)
    rough = gf_cf.latent_factors(seen, 8, approximate=True)
    assert rough.decoder.shape == (8, 240)
    np.testing.assert_allclose(rough.encoder @ rough.decoder, exact.encoder @ exact.decoder, atol=2e-3)


def test_twice_as_many_factors_are_used_where_they_find_more() -> None:
    """Sixteen groups of users: eight tastes can't tell them apart, sixteen can."""
    random = np.random.default_rng(6)
    matrix = np.kron(np.eye(16), np.ones((12, 20))) * (random.random((192, 320)) < 0.5)
    matrix += random.random(matrix.shape) < 0.02
    seen = sparse.csr_array((matrix > 0).astype(np.float32))
    found, tried = graph_filter_search.best_filter(seen, GraphFilter(alpha=3.0, tastes=8))
    assert found.tastes == 16
    powers = "leave 0.5, through 1.0, arrive 0.5"
    start, more = (tried[f"{powers}, alpha 3.0, tastes {count}"] for count in (8, 16))
    assert more > start


def test_a_tuned_filter_is_the_best_of_those_tried() -> None:
    """Two tastes, in which the popular items say the least."""
    random = np.random.default_rng(2)
    matrix = np.zeros((80, 60))
    for user in range(80):
        own = np.arange(30) + 30 * (user % 2)
        matrix[user, random.choice(own, 12, replace=False)] = 1
    matrix[:, :4] = 1
    dataset = shop(matrix)
    config = training_config(algorithmHyperParameters={"method": "tuned", "tastes": "4"})
    model = RECIPE.fit(dataset, config, silent)
    tried, found = model.notes["tried"], GraphFilter(**model.notes["filter"])
    powers = f"leave {found.leave}, through {found.through}, arrive {found.arrive}"
    name = f"{powers}, alpha {found.alpha}, tastes {found.tastes}"
    assert tried[name] == max(tried.values())
    assert len(tried) > 5
    taken = RECIPE.fit(dataset, config, silent, model)
    assert taken.notes == model.notes


def test_twice_as_many_factors_must_fit_into_memory() -> None:
    assert graph_filter_search.doubled(256, 41_000) == 512
    assert graph_filter_search.doubled(256, 100_000) == 256


def test_nobody_with_enough_items_leaves_the_papers_settings() -> None:
    few = sparse.csr_array(np.eye(4, dtype=np.float32))
    assert graph_filter_search.best_filter(few, GraphFilter()) == (GraphFilter(), {})
