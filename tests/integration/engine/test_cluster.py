"""Spark adds up what one machine adds up: the same arrays, the same models, the same answers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset.aggregates import EventRule, MatrixRequest
from services.engine.training.dataset.event_weights import EVEN, GRADED, rule_mask
from services.engine.training.distributed import spark as spark_aggregates
from services.engine.training.distributed.aggregates import partial_aggregate
from services.engine.training.recipes import RECIPES, Dataset
from shared.models import Model
from tests.support.training import training_config

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

USERS = 400
ITEMS = 90


def interactions(*, seed: int = 3) -> pa.Table:
    """LatentFactors, repeats, three types, and one user with more events than a model keeps."""
    chance = np.random.default_rng(seed)
    users = np.concatenate((chance.integers(0, USERS, 6_000), np.zeros(260, np.int64)))
    items = (chance.integers(0, ITEMS // 5, len(users)) * 5 + users % 5) % ITEMS
    times = 1_700_000_000 + chance.integers(0, 90 * 86_400, len(users))
    types = np.array(["View", "AddToCart", "Purchase"], object)[chance.integers(0, 3, len(users))]
    return pa.table(
        {
            "USER_ID": [f"u{user}" for user in users],
            "ITEM_ID": [f"i{item}" for item in items],
            "TIMESTAMP": pa.array(times, pa.int64()),
            "EVENT_TYPE": pa.array(types, pa.string()),
            "EVENT_VALUE": pa.array(chance.random(len(users)), pa.float32()),
        }
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The rows in two files; the second lacks a column, as an import of another schema does."""
    folder, table = tmp_path_factory.mktemp("parts"), interactions()
    pq.write_table(table.slice(0, 4_000), folder / "0.parquet")
    pq.write_table(table.slice(4_000), folder / "1.parquet")
    return [folder / "0.parquet", folder / "1.parquet"]


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory, spark_packages: Path) -> Iterator[Any]:
    """Two executors in one process."""
    sys.path.append(str(spark_packages))
    with spark_aggregates.session("local[2]", tmp_path_factory.mktemp("spark")) as running:
        yield running


@pytest.fixture(scope="module")
def local() -> Dataset:
    """Everything in memory."""
    return Dataset.from_arrow(interactions())


@pytest.fixture(scope="module")
def everything(spark: Any, files: list[Path]) -> Dataset:
    """Everything on Spark, as a model without an event type reads it: each reading is five jobs of Spark."""
    return spread(spark, files, TrainingConfig())


def spread(spark: Any, files: list[Path], config: TrainingConfig) -> Dataset:
    return spark_aggregates.read(spark, files, None, None, {}, config)


@pytest.mark.parametrize("weights", [EVEN, GRADED])
@pytest.mark.parametrize("matrix", ["cooccurrence", "gram", "transitions"])
def test_sums_over_users_are_those_of_one_machine(
    everything: Dataset, local: Dataset, matrix: str, weights: dict[str, float]
) -> None:
    request = MatrixRequest(matrix, weights, 0.8)
    assert everything.aggregates is not None

    summed = everything.aggregates.matrix(request)

    assert abs(summed - partial_aggregate(local, request)).max() < 1e-6 * max(1.0, abs(summed).max())


def test_values_beyond_the_bound_are_left_out_and_counted(spark: Any, tmp_path: Path) -> None:
    values = [np.inf, 1e13, -1e39, np.nan, None, 2.5]
    table = interactions().slice(0, len(values))
    table = table.set_column(4, "EVENT_VALUE", pa.array(values, pa.float64()))
    pq.write_table(table, tmp_path / "values.parquet")

    there = spread(spark, [tmp_path / "values.parquet"], TrainingConfig())
    here = Dataset.from_arrow(table)

    assert there.dropped_values == here.dropped_values == 3
    assert np.nansum(there.values) == np.nansum(here.values) == 2.5


def test_what_counts_and_who_is_left_out_is_the_same(everything: Dataset, local: Dataset) -> None:
    rule, request = EventRule(frozenset({"purchase"}), {"purchase": 0.5}), MatrixRequest("cooccurrence", {})
    left_out = ["u1", "u2", "u3"]
    aggregates = everything.aggregates
    assert aggregates is not None

    counted = local.where(rule_mask(local, rule))
    out = np.isin(counted.user_ids[counted.users], left_out)
    back = out & (np.arange(len(counted)) % 3 > 0)

    summed = aggregates.counting(rule).without(left_out, but=counted.where(back)).matrix(request)

    kept = counted.where(~out | back)
    assert abs(summed - partial_aggregate(kept, request)).max() == 0


@pytest.mark.parametrize(
    ("recipe", "config"),
    [
        ("aws-similar-items", TrainingConfig()),
        ("aws-similar-items", training_config(eventType="Purchase", eventValueThreshold="0.3")),
        ("aws-user-personalization", TrainingConfig()),
        ("aws-popularity-count", TrainingConfig()),
        ("endcap-item-affinity", training_config(eventType="Purchase")),
    ],
)
def test_a_recipe_fits_the_same_model(
    spark: Any,
    files: list[Path],
    everything: Dataset,
    local: Dataset,
    recipe: str,
    config: TrainingConfig,
) -> None:
    fit = RECIPES[recipe].fit
    # What a mixture is made of is chosen on a sample, here and there; the arrays are what is compared.
    like = fit(local, config, lambda *_: None)

    dataset = everything if config == TrainingConfig() else spread(spark, files, config)
    there = fit(dataset, config, lambda *_: None, like)
    here = fit(local, config, lambda *_: None, like)

    assert_alike(there, here)


def assert_alike(there: Model, here: Model) -> None:
    assert there.items.strings == here.items.strings
    assert np.array_equal(there.popularity, here.popularity)
    for name, array in here.histories.arrays().items():
        assert np.array_equal(there.histories.arrays()[name], array), name
    assert np.array_equal(there.older.items, here.older.items)
    assert np.array_equal(there.first_event_times, here.first_event_times)
    for mine, theirs in zip(here.components, there.components, strict=True):
        for name, array in mine.table.arrays().items():
            if name == "weights":
                assert np.abs(array - theirs.table.arrays()[name]).max(initial=0) < 1e-6
            elif name == "offsets":
                assert np.array_equal(array, theirs.table.arrays()[name])
    known = here.users.strings[:50]
    for user in known:
        mine_first = dict(here.recommend(user_id=user, item_id="i7", limit=10, relevance=True))
        theirs_first = dict(there.recommend(user_id=user, item_id="i7", limit=10, relevance=True))
        assert mine_first.keys() == theirs_first.keys()
