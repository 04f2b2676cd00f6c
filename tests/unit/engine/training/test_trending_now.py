"""aws-trending-now: what rises, from one interval to the next."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pyarrow as pa
import pytest

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.fitting import silent
from services.engine.training.methods.trend import rises
from services.engine.training.recipes import RECIPES, Dataset, evaluate
from services.engine.training.recipes.configuration import check
from services.engine.training.recipes.trending_now import accuracy
from shared.errors import Permanent
from tests.support.training import training_config

RECIPE = RECIPES["aws-trending-now"]
HOUR = 3_600
END = 1_700_000_000


def dataset(counts: dict[str, list[int]], step: int = HOUR) -> Dataset:
    """Interactions per item and interval, the newest interval last and full to its end."""
    rows = []
    for item, by_interval in counts.items():
        for age, count in enumerate(reversed(by_interval)):
            rows += [(f"u{item}{age}-{n}", item, END - age * step - (n % step)) for n in range(count)]
    users, items, times = zip(*rows, strict=True)
    return Dataset.from_arrow(
        pa.table({"USER_ID": users, "ITEM_ID": items, "TIMESTAMP": pa.array(times, pa.int64())})
    )


def frequency(words: str) -> TrainingConfig:
    return training_config(featureTransformationParameters={"trend_discovery_frequency": words})


def top(data: Dataset, words: str, limit: int = 2) -> list[str]:
    return [item for item, _ in RECIPE.fit(data, frequency(words), silent).recommend(limit=limit)]


def test_a_rise_is_measured_against_chance() -> None:
    data = dataset({"steady": [50, 50], "rising": [50, 100], "one": [0, 1], "falling": [9, 0]})
    found = dict(zip(data.item_ids, rises(data, END + 1, HOUR), strict=True))
    assert found["steady"] == 0
    assert found["rising"] == pytest.approx(50 / sqrt(151))
    assert found["one"] == pytest.approx(1 / sqrt(2))
    assert found["falling"] == pytest.approx(-9 / sqrt(10))


def test_what_rises_comes_before_what_is_popular() -> None:
    data = dataset({"hit": [500, 500], "rising": [5, 40], "old": [60, 2]})
    assert top(data, "1 hour", 3) == ["rising", "hit", "old"]


def test_the_frequency_decides_what_a_trend_is() -> None:
    # By the hour "new" rises; by the day it is "week" whose yesterday was empty.
    data = dataset({"new": [0, 0, 20], "week": [*[0] * 24, *[4] * 24]})
    assert top(data, "1 hour", 1) == ["new"]
    assert top(data, "1 day", 1) == ["week"]


def test_three_hours_are_the_default() -> None:
    data = dataset({"a": [3, 1, 4, 1, 5, 9], "b": [2, 6, 5, 3, 5, 8]})
    assert RECIPE.fit(data, TrainingConfig(), silent).notes["seconds"] == 3 * HOUR
    np.testing.assert_array_equal(
        RECIPE.fit(data, TrainingConfig(), silent).popularity,
        RECIPE.fit(data, frequency("3 hours"), silent).popularity,
    )


@pytest.mark.parametrize("words", ["30 minutes", "1 hour", "3 hours", "1 day"])
def test_the_frequencies_of_the_service_are_allowed(words: str) -> None:
    check(RECIPE, frequency(words))


def test_other_frequencies_are_refused() -> None:
    with pytest.raises(Permanent, match="trend_discovery_frequency must be one of 3 hours, 30 minutes"):
        check(RECIPE, frequency("2 hours"))


def test_accuracy_is_the_share_of_the_new_trend_that_was_foreseen() -> None:
    going_on = {f"up{n}": [n, 10 * n, 30 * n] for n in range(1, 120)}
    foreseen = accuracy(dataset(going_on), frequency("1 hour"))["trend_prediction_accuracy"]
    assert foreseen > 0.95
    turned = {f"up{n}": [0, 30, 0] for n in range(110)} | {f"new{n}": [0, 0, 30] for n in range(110)}
    assert accuracy(dataset(turned), frequency("1 hour")) == {"trend_prediction_accuracy": 0.0}
    assert accuracy(dataset({"a": [3, 3]}), frequency("1 hour")) == {"trend_prediction_accuracy": 0.0}


def test_the_metrics_of_a_version_have_it() -> None:
    data = dataset({"a": [1, 4, 16], "b": [8, 8, 8]})
    found = evaluate(RECIPE, data, frequency("1 hour"))
    assert found["trend_prediction_accuracy"] == 1.0


def test_there_are_no_batches() -> None:
    assert not RECIPE.batch
