"""The figures of lists, with values that were worked out by hand."""

from __future__ import annotations

import pytest

from services.loader.domain import (
    ListQuality,
    ListStatistics,
    average_overlap,
    gini,
    popularity_lift,
)


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ("abc", "abc", 1.0),
        ("abc", "xyz", 0.0),
        ("ab", "ba", (0 + 2 / 2) / 2),
        ("abc", "axb", (1 + 1 / 2 + 2 / 3) / 3),
        ("a", "ab", (1 + 1 / 2) / 2),
        ("", "a", 0.0),
        ("", "", 1.0),
    ],
)
def test_rank_overlap_is_the_mean_overlap_of_all_depths(first: str, second: str, overlap: float) -> None:
    assert average_overlap([*first], [*second]) == pytest.approx(overlap)
    assert average_overlap([*second], [*first]) == pytest.approx(overlap)


def test_rank_overlap_looks_at_the_top_alone() -> None:
    top = [f"item-{number}" for number in range(10)]

    assert average_overlap([*top, "a", "b"], [*top, "x", "y"]) == 1.0


def test_gini_is_0_for_equal_shares_and_grows_with_concentration() -> None:
    assert gini([3, 3, 3], 3) == pytest.approx(0.0)
    assert gini([4], 4) == pytest.approx(3 / 4)  # one of four items takes all
    assert gini([1, 3], 2) == pytest.approx(1 / 4)  # the mean difference of two is half of the mean
    assert gini([1, 3], 4) == pytest.approx(5 / 8)
    assert gini([], 4) is None


def test_gini_counts_listed_items_that_the_catalogue_lacks() -> None:
    assert gini([1, 1, 1], 2) == pytest.approx(0.0)


def test_popularity_lift_compares_lists_with_what_people_choose() -> None:
    popularity = {"a": 3, "b": 1}  # an interaction is with an item of popularity 3·¾ + 1·¼ = 2.5

    assert popularity_lift({"a": 3, "b": 1}, popularity) == pytest.approx(0.0)
    assert popularity_lift({"a": 5}, popularity) == pytest.approx(3 / 2.5 - 1)
    assert popularity_lift({"b": 1, "new": 1}, popularity) == pytest.approx(0.5 / 2.5 - 1)
    assert popularity_lift({}, popularity) is None
    assert popularity_lift({"a": 1}, {}) is None


def test_lists_are_compared_with_those_of_the_same_id() -> None:
    statistics = ListStatistics()
    statistics.add(["a", "b"], ["a", "b"])
    statistics.add(["a", "b"], ["b", "a"])
    statistics.add(["c"], None)
    statistics.add([], [])

    quality = ListQuality.of(statistics, frozenset("abcdefgh"), {"a": 1, "b": 1, "c": 1})

    assert (quality.lists, quality.empty, quality.compared) == (4, 1, 3)
    assert (quality.listed_items, quality.catalogue_items) == (3, 8)
    assert quality.changed_share == pytest.approx(1 / 3)
    assert quality.rank_overlap == pytest.approx((1 + 0.5 + 1) / 3)
    assert quality.popularity_lift == pytest.approx(0.0)


def test_a_first_generation_has_no_drift_and_a_shop_without_catalogue_has_items() -> None:
    statistics = ListStatistics()
    statistics.add(["a", "b"], None)

    quality = ListQuality.of(statistics, frozenset(), {"a": 2, "c": 1})

    assert (quality.changed_share, quality.rank_overlap) == (None, None)
    assert quality.catalogue_items == 3
