"""The guide's worked example, and the edges around it."""

from __future__ import annotations

import pytest

from services.engine.training.evaluation.ranking_metrics import (
    ndcg,
    precision,
    reciprocal_rank,
    solution_metrics,
)

# Hits at ranks 2 and 5 of five: the example of the developer guide.
EXAMPLE = [False, True, False, False, True]


def test_the_guides_worked_example() -> None:
    assert round(reciprocal_rank(EXAMPLE), 4) == 0.5
    assert round(ndcg(EXAMPLE, 5), 4) == 0.6241
    assert round(precision(EXAMPLE, 5), 4) == 0.4


def test_gain_is_measured_against_the_same_list_sorted() -> None:
    assert ndcg([True, False, False], 3) == 1.0
    assert ndcg([False, False, True], 3) == pytest.approx(0.5)
    assert ndcg([False, False, True], 2) == 0.0


def test_a_short_list_still_divides_by_the_cut() -> None:
    assert precision([True], 10) == 0.1


def test_means_over_users_and_coverage_of_the_catalogue() -> None:
    lists = [(["a", "b", "c", "d", "e"], {"b", "e", "x"}), (["a", "c"], {"z"})]
    found = solution_metrics(lists, catalogue=8)
    assert found == {
        "coverage": 0.625,
        "mean_reciprocal_rank_at_25": 0.25,
        "normalized_discounted_cumulative_gain_at_5": 0.312,
        "normalized_discounted_cumulative_gain_at_10": 0.312,
        "normalized_discounted_cumulative_gain_at_25": 0.312,
        "precision_at_5": 0.2,
        "precision_at_10": 0.1,
        "precision_at_25": 0.04,
    }


def test_only_the_first_25_count() -> None:
    items = [str(number) for number in range(40)]
    assert solution_metrics([(items, {"30"})], catalogue=40)["mean_reciprocal_rank_at_25"] == 0.0
    assert solution_metrics([(items, {"30"})], catalogue=40)["coverage"] == 0.625


def test_no_held_out_users() -> None:
    assert set(solution_metrics([], catalogue=0).values()) == {0.0}
