"""Reading Personalize's tables."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from services.engine.training.recipes import Dataset


def table(rows: list[tuple[Any, ...]], *more: str) -> pa.Table:
    names = ["USER_ID", "ITEM_ID", "TIMESTAMP", *more]
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in names]
    kinds = {"TIMESTAMP": pa.int64(), "EVENT_VALUE": pa.float32()}
    return pa.table(
        {
            name: pa.array(column, kinds.get(name, pa.string()))
            for name, column in zip(names, columns, strict=True)
        }
    )


def rows(dataset: Dataset) -> list[tuple[str, str, int, str]]:
    return [
        (
            dataset.user_ids[user],
            dataset.item_ids[item],
            int(when),
            dataset.event_type_names[kind],
        )
        for user, item, when, kind in zip(
            dataset.users, dataset.items, dataset.times, dataset.event_types, strict=True
        )
    ]


def test_one_row_per_user_item_second_and_type_sorted_by_time() -> None:
    dataset = Dataset.from_arrow(
        table(
            [
                ("b", "y", 9, "Purchase"),
                ("a", "x", 5, "view"),
                ("a", "x", 5, "ORDER COMPLETED"),
                ("a", "x", 5, "purchase"),
                ("a", "w", 2, None),
                ("a", "x", 5, "View"),
            ],
            "EVENT_TYPE",
        )
    )
    assert rows(dataset) == [
        ("a", "w", 2, ""),
        ("a", "x", 5, "purchase"),
        ("a", "x", 5, "view"),
        ("b", "y", 9, "purchase"),
    ]
    assert dataset.event_type_names == ("", "purchase", "view")


def test_rows_without_user_item_or_time_are_left_out() -> None:
    dataset = Dataset.from_arrow(table([("a", None, 1), (None, "x", 1), ("a", "x", None), ("a", "y", 1)]))
    assert rows(dataset) == [("a", "y", 1, "")]
    assert dataset.item_ids.tolist() == ["y"]


def test_the_largest_value_of_equal_rows_is_kept_in_any_order() -> None:
    given_ = [("a", "x", 1, None), ("a", "x", 1, 3.0), ("a", "x", 1, 2.0), ("a", "y", 1, None)]
    for order in (given_, given_[::-1]):
        values = Dataset.from_arrow(table(order, "EVENT_VALUE")).values
        assert values[0] == 3.0
        assert math.isnan(values[1])


@given(
    st.lists(
        st.tuples(st.sampled_from("abé"), st.sampled_from("xyz"), st.integers(0, 3), st.sampled_from("vp")),
        min_size=1,
    ),
    st.randoms(),
)
def test_the_order_of_rows_never_matters(given_: list[tuple[str, str, int, str]], random: Any) -> None:
    shuffled = random.sample(given_, len(given_))
    one, other = (Dataset.from_arrow(table(each, "EVENT_TYPE")) for each in (given_, shuffled))
    assert rows(one) == rows(other) == sorted(set(given_), key=lambda row: (row[0], row[2], row[1], row[3]))


def test_items_and_users_without_interactions_are_there_with_their_columns() -> None:
    items = pa.table({"ITEM_ID": ["z", "x", "x"], "PRICE": [1.5, 1.0, None], "NAME": ["Zed", "old", "new"]})
    users = pa.table({"USER_ID": ["n"], "AGE": pa.array([30], pa.int64())})
    dataset = Dataset.from_arrow(table([("a", "x", 1), ("a", "y", 2)]), items, users)
    assert dataset.item_ids.tolist() == ["x", "y", "z"]
    assert dataset.user_ids.tolist() == ["a", "n"]
    assert dataset.item_columns["NAME"].tolist() == ["new", None, "Zed"]
    assert np.array_equal(dataset.item_columns["PRICE"], [np.nan, np.nan, 1.5], equal_nan=True)
    assert np.array_equal(dataset.user_columns["AGE"], [np.nan, 30.0], equal_nan=True)


def test_types_that_somebody_made_up_stop_no_training() -> None:
    made_up = [("x", "i", second, f"t{second}") for second in range(40_000)]
    real = [(f"u{user}", "i", 5, "View") for user in range(2)]

    dataset = Dataset.from_arrow(table([*made_up, *real], "EVENT_TYPE"))

    assert len(dataset) == 40_002
    assert len(dataset.event_type_names) == 1001
    assert {row[3] for row in rows(dataset) if row[0] != "x"} == {"view"}
    assert dataset.count("t39999") == 0
    assert np.bincount(dataset.event_types)[dataset.event_type_names.index("")] == 40_000 - 999


def test_what_is_infinite_is_no_value() -> None:
    items = pa.table({"ITEM_ID": ["x", "y", "z"], "PRICE": [float("inf"), float("-inf"), 3.0]})

    prices = Dataset.from_arrow(table([("a", "x", 1), ("a", "y", 2)]), items).item_columns["PRICE"]

    assert np.array_equal(prices, [np.nan, np.nan, 3.0], equal_nan=True)


def test_timestamps_may_be_timestamps_and_ids_numbers() -> None:
    when = datetime(2024, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
    dataset = Dataset.from_arrow(
        pa.table({"USER_ID": [7], "ITEM_ID": [8], "TIMESTAMP": pa.array([when], pa.timestamp("us", "UTC"))})
    )
    assert rows(dataset) == [("7", "8", 1_704_164_645, "")]


def test_nothing_at_all_can_be_read() -> None:
    dataset = Dataset.from_arrow(table([]))
    assert len(dataset) == 0
    assert dataset.offsets().tolist() == [0]


def test_a_part_of_the_rows_keeps_the_numbering() -> None:
    dataset = Dataset.from_arrow(table([("a", "x", 1), ("b", "y", 2), ("c", "z", 3)]))
    part = dataset.where(dataset.users == 1)
    assert rows(part) == [("b", "y", 2, "")]
    assert part.offsets().tolist() == [0, 0, 1, 1]


def test_encoded_texts_are_read_as_plain_ones_and_what_only_a_dictionary_holds_is_not() -> None:
    plain = table([("b", "y", 9, "Purchase"), ("a", "x", 5, None), ("gone", "x", 5, "Refund")], "EVENT_TYPE")
    encoded = plain
    for place, name in enumerate(plain.column_names):
        if name != "TIMESTAMP":
            encoded = encoded.set_column(place, name, plain[name].dictionary_encode())
    parts = pa.concat_tables([encoded.slice(0, 1), encoded.slice(1, 1)])

    dataset = Dataset.from_arrow(parts)

    assert rows(dataset) == rows(Dataset.from_arrow(plain.slice(0, 2)))
    assert dataset.user_ids.tolist() == ["a", "b"]
    assert dataset.event_type_names == ("", "purchase")


def test_times_may_lie_as_far_apart_as_numbers_go() -> None:
    far = [("b", "x", -(2**63)), ("a", "x", 2**63 - 1), ("a", "y", -5), ("b", "x", 7)]
    assert rows(Dataset.from_arrow(table(far))) == [
        ("a", "y", -5, ""),
        ("a", "x", 2**63 - 1, ""),
        ("b", "x", -(2**63), ""),
        ("b", "x", 7, ""),
    ]
