"""Promoted items among the others."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recommender.domain.placing import PROMOTED, Pick, placed, slots


@pytest.mark.parametrize(
    ("wanted", "percent", "expected"),
    [(20, 20, 4), (25, 50, 13), (10, 100, 10), (25, 1, 0), (50, 1, 1), (3, 50, 2), (0, 50, 0), (7, 20, 1)],
)
def test_a_share_of_the_places_is_rounded_to_the_nearest(wanted: int, percent: int, expected: int) -> None:
    assert slots(wanted, percent) == expected


@given(
    st.lists(st.integers(0, 30), unique=True, max_size=10),
    st.lists(st.integers(0, 30), unique=True, max_size=20),
    st.integers(0, 20),
    st.integers(0, 1000),
)
def test_both_kinds_keep_their_order_and_nothing_comes_twice(
    promoted: list[int], others: list[int], wanted: int, seed: int
) -> None:
    promoted = promoted[:wanted]
    ahead = [Pick(f"i{n}", None, "sale", PROMOTED) for n in promoted]
    found = placed(ahead, [Pick(f"i{n}", 0.5) for n in others], wanted, random.Random(seed))
    assert [pick for pick in found if pick.promotion] == ahead
    rest = [f"i{n}" for n in others if n not in promoted]
    assert [pick.item for pick in found if not pick.promotion] == rest[: wanted - len(promoted)]
    assert len({pick.item for pick in found}) == len(found) <= wanted


def test_places_are_left_to_chance() -> None:
    promoted = [Pick("p", None, "sale", PROMOTED)]
    others = [Pick(f"i{n}", 0.5) for n in range(9)]
    places = {
        [pick.item for pick in placed(promoted, others, 10, random.Random(seed))].index("p")
        for seed in range(200)
    }
    assert places == set(range(10))
