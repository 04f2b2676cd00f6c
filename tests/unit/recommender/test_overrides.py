"""Overrides in a list: where they stand, and what they replace."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest

from services.recommender.domain.catalogue import Catalogue
from services.recommender.domain.override import Override
from services.recommender.serving.overrides import encode_merged, merge

LIST = [("a", 0.9), ("b", 0.5), ("c", 0.5), ("d", None)]


def override(item_id: str, score: float) -> Override:
    return Override("shop", "u", item_id, score, None, 0.0, 1.0, 1)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], ["a", "b", "c", "d"]),
        ([override("x", 1.0)], ["x", "a", "b", "c", "d"]),
        ([override("x", 0.5)], ["a", "x", "b", "c", "d"]),
        ([override("x", -3.0)], ["a", "b", "c", "x", "d"]),
        ([override("c", 0.95)], ["c", "a", "b", "d"]),
        ([override("a", 0.1)], ["b", "c", "a", "d"]),
        ([override("y", 0.7), override("x", 0.7), override("z", 2.0)], ["z", "a", "x", "y", "b", "c", "d"]),
    ],
)
def test_an_override_stands_before_the_first_item_of_a_lower_score(
    overrides: list[Override], expected: list[str]
) -> None:
    assert [item_id for item_id, _ in merge(LIST, overrides)] == expected


def test_an_empty_list_becomes_the_overrides_best_first() -> None:
    assert merge([], [override("x", 0.1), override("y", 0.2)]) == [("y", 0.2), ("x", 0.1)]


def test_the_order_of_the_list_itself_never_changes() -> None:
    unsorted = [("a", 0.1), ("b", 0.9)]

    assert merge(unsorted, [override("x", 0.5)]) == [("x", 0.5), ("a", 0.1), ("b", 0.9)]


def test_an_override_is_named_as_the_algorithm_and_withdrawn_items_stay_out() -> None:
    catalogue = Catalogue()
    catalogue.put("b", "B", 1.0, available=False, as_of=datetime.now(UTC))
    overrides = [override("b", 2.0), override("x", 0.7)]

    encoded = encode_merged(catalogue, merge(LIST, overrides), overrides, {"a"}, 2, "the-recipe")

    documents = [orjson.loads(item) for item in encoded]
    assert [(item["product_id"], item["algorithm"]) for item in documents] == [
        ("x", "override"),
        ("c", "the-recipe"),
    ]
