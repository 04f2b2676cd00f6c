"""Promoted items among the organic ones."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recommender.serving.blending import blend, promoted_count
from services.recommender.serving.recommendation import PROMOTED_REASON, Recommendation


@pytest.mark.parametrize(
    ("limit", "percent", "expected"),
    [(20, 20, 4), (25, 50, 13), (10, 100, 10), (25, 1, 0), (50, 1, 1), (3, 50, 2), (0, 50, 0), (7, 20, 1)],
)
def test_a_share_of_the_items_is_rounded_to_the_nearest(limit: int, percent: int, expected: int) -> None:
    assert promoted_count(limit, percent) == expected


@given(
    st.lists(st.integers(0, 30), unique=True, max_size=10),
    st.lists(st.integers(0, 30), unique=True, max_size=20),
    st.integers(0, 20),
    st.integers(0, 1000),
)
def test_both_kinds_keep_their_order_and_nothing_comes_twice(
    promoted: list[int], organic: list[int], limit: int, seed: int
) -> None:
    promoted = promoted[:limit]
    promotions = [Recommendation(f"i{n}", None, "sale", PROMOTED_REASON) for n in promoted]
    blended = blend(promotions, [Recommendation(f"i{n}", 0.5) for n in organic], limit, random.Random(seed))
    assert [each for each in blended if each.promotion] == promotions
    rest = [f"i{n}" for n in organic if n not in promoted]
    assert [each.item_id for each in blended if not each.promotion] == rest[: limit - len(promoted)]
    assert len({each.item_id for each in blended}) == len(blended) <= limit


def test_positions_are_random() -> None:
    promoted = [Recommendation("p", None, "sale", PROMOTED_REASON)]
    organic = [Recommendation(f"i{n}", 0.5) for n in range(9)]
    positions = {
        [each.item_id for each in blend(promoted, organic, 10, random.Random(seed))].index("p")
        for seed in range(200)
    }
    assert positions == set(range(10))
