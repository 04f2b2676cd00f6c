"""What a training warns of, refuses when strict, and reports."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from services.engine.computations import dataset_import, model_training, training_data
from services.engine.domain.schemas import Column
from services.engine.domain.solution_config import TrainingConfig
from services.engine.jobs import received_rows
from services.engine.training.recipes import Dataset
from shared.errors import Permanent
from tests.support.training import training_config


def dataset(users: int, events: int) -> Dataset:
    rows = [
        (f"u{user}", f"i{event}", 1_700_000_000 + event) for user in range(users) for event in range(events)
    ]
    return Dataset.from_arrow(
        pa.table(
            {
                "USER_ID": [row[0] for row in rows],
                "ITEM_ID": [row[1] for row in rows],
                "TIMESTAMP": [row[2] for row in rows],
            }
        )
    )


def test_enough_data_gives_no_warning() -> None:
    assert model_training.check_size(dataset(50, 20), TrainingConfig(), strict=True) == []


@pytest.mark.parametrize(
    ("users", "events", "sentences"),
    [
        (30, 2, ["Dataset has fewer than 1000 interactions."]),
        (
            1200,
            1,
            ["Dataset has fewer than 25 users with at least 2 interactions each."],
        ),
        (
            2,
            2,
            [
                "Dataset has fewer than 1000 interactions.",
                "Dataset has fewer than 25 users with at least 2 interactions each.",
            ],
        ),
    ],
)
def test_too_little_data_is_warned_of_and_refused_when_strict(
    users: int, events: int, sentences: list[str]
) -> None:
    little = dataset(users, events)

    assert model_training.check_size(little, TrainingConfig(), strict=False) == sentences
    with pytest.raises(Permanent) as caught:
        model_training.check_size(little, TrainingConfig(), strict=True)
    assert str(caught.value) == " ".join(sentences)


def test_what_is_left_of_the_chosen_type_is_counted() -> None:
    many = dataset(50, 20)
    purchases = pa.table({"USER_ID": ["u1"], "ITEM_ID": ["i"], "TIMESTAMP": [5], "EVENT_TYPE": ["Purchase"]})
    views = pa.table(
        {
            "USER_ID": many.user_ids[many.users],
            "ITEM_ID": many.item_ids[many.items],
            "TIMESTAMP": many.times,
            "EVENT_TYPE": ["View"] * len(many),
        }
    )
    both = Dataset.from_arrow(pa.concat_tables([views, purchases]))

    assert model_training.check_size(both, training_config(eventType="View"), strict=True) == []
    with pytest.raises(Permanent) as caught:
        model_training.check_size(both, training_config(eventType="Purchase"), strict=True)

    assert str(caught.value) == (
        "Dataset has fewer than 1000 interactions after filtering by event type: Purchase "
        "Dataset has fewer than 25 users with at least 2 interactions each."
    )


def test_a_type_that_is_not_there_at_all_is_too_little_too() -> None:
    with pytest.raises(Permanent) as caught:
        model_training.check_size(dataset(50, 20), training_config(eventType="Purchase"), strict=True)
    assert str(caught.value).startswith(
        "Dataset has fewer than 1000 interactions after filtering by event type: Purchase"
    )
    warned = model_training.check_size(dataset(50, 20), training_config(eventType="Purchase"), strict=False)
    assert len(warned) == 2


def _spec(kind: str, *, strict: bool) -> dataset_import.Spec:
    return dataset_import.Spec("b", "k", "{}", kind, "FULL", "f/", strict, max_bytes=10**9, max_rows=10**6)


def test_a_small_import_is_warned_of_and_refused_when_strict() -> None:
    assert dataset_import.check_size(_spec("INTERACTIONS", strict=False), 999) == [
        "The import has 999 interactions, fewer than 1000."
    ]
    assert dataset_import.check_size(_spec("ITEMS", strict=True), 3) == []
    with pytest.raises(Permanent, match="fewer than 1000"):
        dataset_import.check_size(_spec("INTERACTIONS", strict=True), 999)


def test_a_step_reports_its_part_of_the_whole() -> None:
    heard: list[tuple[str, float]] = []

    report = model_training.scaled(lambda step, share: heard.append((step, share)), "train", 0.1, 0.8)
    report("count", 0.0)
    report("done", 1.0)

    assert heard == [("train: count", 0.1), ("train: done", 0.9)]


def test_what_was_put_lies_over_what_was_imported_column_by_column() -> None:
    imported = pa.table(
        {
            "ITEM_ID": ["a", "b", "a"],
            "CATEGORY": ["old", "bread", "tea"],
            "PRICE": pa.array([1.0, 2.0, 3.0], pa.float32()),
        }
    )
    put = pa.table(
        {
            "ITEM_ID": ["a", "c"],
            "PRICE": pa.array([None, 9.0], pa.float32()),
            "CATEGORY": ["green tea", None],
        }
    )

    merged = training_data.merge_rows(imported, put, "ITEM_ID")

    assert merged is not None
    assert sorted(merged.to_pylist(), key=lambda row: str(row["ITEM_ID"])) == [
        {"ITEM_ID": "a", "CATEGORY": "green tea", "PRICE": 3.0},
        {"ITEM_ID": "b", "CATEGORY": "bread", "PRICE": 2.0},
        {"ITEM_ID": "c", "CATEGORY": None, "PRICE": 9.0},
    ]
    assert training_data.merge_rows(None, put, "ITEM_ID") is put
    assert training_data.merge_rows(imported, None, "ITEM_ID") is imported


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        ("4.5", "float", 4.5),
        ("dear", "float", None),
        (7, "string", "7"),
        (["a", "b"], "string", "a|b"),
        ({"a": 1}, "string", None),
        ("", "string", None),
        (True, "string", "true"),
        ("TRUE", "boolean", True),
        ("perhaps", "boolean", None),
        (3.9, "int", 3),
        ("12", "long", 12),
        (2**31, "int", None),
        (1e400, "long", None),
        (datetime(2024, 1, 1, tzinfo=UTC), "long", 1_704_067_200),
    ],
)
def test_a_property_becomes_a_cell_of_its_columns_type(value: object, kind: str, found: object) -> None:
    assert received_rows.cell(value, Column("A", kind)) == found
