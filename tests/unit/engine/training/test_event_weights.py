"""Which events train, by the solution's settings."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from services.engine.training.dataset.event_weights import (
    configured_weights,
    counted_interactions,
    model_event_types,
    weights_of,
)
from services.engine.training.recipes import Dataset
from shared.errors import Permanent
from tests.support.training import training_config

ROWS = [
    ("a", "x", 1, "view", None),
    ("a", "y", 2, "Purchase", 10.0),
    ("b", "x", 3, "purchase", 2.0),
    ("b", "y", 4, "impression", None),
    ("c", "z", 5, "rented", 1.0),
]


@pytest.fixture
def dataset() -> Dataset:
    users, items, times, types, values = zip(*ROWS, strict=True)
    return Dataset.from_arrow(
        pa.table(
            {
                "USER_ID": users,
                "ITEM_ID": items,
                "TIMESTAMP": times,
                "EVENT_TYPE": types,
                "EVENT_VALUE": pa.array(values, pa.float32()),
            }
        )
    )


def kept(dataset: Dataset, **config: Any) -> list[int]:
    return sorted(counted_interactions(dataset, training_config(**config)).times.tolist())


def test_everything_but_what_says_nothing_counts(dataset: Dataset) -> None:
    assert kept(dataset) == [1, 2, 3, 5]


def test_event_type_compares_by_canonical_name(dataset: Dataset) -> None:
    assert kept(dataset, eventType="Order Completed") == [2, 3]
    assert kept(dataset, eventType="RENTED") == [5]


def test_the_threshold_drops_lower_and_missing_values(dataset: Dataset) -> None:
    assert kept(dataset, eventType="purchase", eventValueThreshold="2.0") == [2, 3]
    assert kept(dataset, eventValueThreshold="3") == [2]


def test_events_config_sets_types_thresholds_and_weights(dataset: Dataset) -> None:
    parameters = [
        {"eventType": "Purchase", "eventValueThreshold": 5.0, "weight": 1.0},
        {"eventType": "view", "weight": 0.1},
        {"eventType": "rented", "weight": 0.0},
    ]
    config = {"eventsConfig": {"eventParametersList": parameters}}
    assert kept(dataset, **config) == [1, 2]
    assert configured_weights(training_config(**config)) == {
        "": 0.0,
        "purchase": 1.0,
        "view": 0.1,
        "rented": 0.0,
    }


def test_uncounted_types_train_when_nothing_else_is_there(dataset: Dataset) -> None:
    impressions = dataset.where(dataset.times == 4)
    assert kept(impressions) == [4]


def test_the_sentence_names_the_settings_and_the_types(dataset: Dataset) -> None:
    with pytest.raises(Permanent, match=r"eventType \(nosuch\).*impression, purchase, rented, view"):
        counted_interactions(dataset, training_config(eventType="nosuch"))


def test_the_last_type_stands_for_every_other(dataset: Dataset) -> None:
    names = model_event_types(dataset, {"": 0.0, "click": 0.5})
    assert names == ("click", "impression", "purchase", "rented", "view", "")
    assert weights_of({"": 0.0, "click": 0.5}, names).tolist() == [0.5, 0, 0, 0, 0, 0]
