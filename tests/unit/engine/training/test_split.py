"""Who is held out, and which of their events are to be found."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.engine.training.dataset.split import eligible, hold_out, split_users
from services.engine.training.recipes import Dataset


def shop(events: dict[str, list[int]]) -> Dataset:
    """One item per event: u's n-th event is with item "un", at the given second."""
    rows = [(user, f"{user}{n}", when) for user, times in events.items() for n, when in enumerate(times)]
    users, items, times = zip(*rows, strict=True)
    return Dataset.from_arrow(pa.table({"USER_ID": users, "ITEM_ID": items, "TIMESTAMP": times}))


def items(dataset: Dataset) -> list[str]:
    return [dataset.item_ids[item] for item in dataset.items]


@pytest.mark.parametrize(
    ("events", "sought"), [(2, 1), (5, 1), (10, 1), (14, 1), (16, 2), (25, 2), (100, 10)]
)
def test_the_newest_tenth_is_to_be_found(events: int, sought: int) -> None:
    held = hold_out(shop({"a": list(range(events)), "b": [1]}), np.array([0]))
    assert items(held.relevant) == [f"a{n}" for n in range(events - sought, events)]
    assert items(held.seen) == [f"a{n}" for n in range(events - sought)]
    assert items(held.train) == ["b0"]


def test_two_types_of_one_second_stay_together() -> None:
    table = {"USER_ID": ["a"] * 3, "ITEM_ID": ["x", "x", "y"], "TIMESTAMP": [1, 1, 2]}
    dataset = Dataset.from_arrow(pa.table({**table, "EVENT_TYPE": ["view", "purchase", "view"]}))
    held = hold_out(dataset, np.array([0]))
    assert items(held.seen) == ["x", "x"]
    assert items(held.relevant) == ["y"]
    assert eligible(dataset.where(dataset.times == 1)).tolist() == []


def test_events_of_one_second_are_not_split() -> None:
    dataset = shop({"a": [1, 2, 5, 5, 5], "b": [7, 7, 7]})
    held = hold_out(dataset, np.array([0, 1]), whole_moments=True)
    assert items(held.relevant) == ["a2", "a3", "a4", "b2"]
    assert items(held.seen) == ["a0", "a1", "b0", "b1"]


def test_known_users_stay_in_training_with_what_they_are_seen_to_do() -> None:
    held = hold_out(shop({"a": [1, 2], "b": [1, 2], "c": [1]}), np.array([0, 1]), known=np.array([1]))
    assert items(held.train) == ["b0", "c0"]
    assert items(held.seen) == ["a0", "b0"]
    assert items(held.relevant) == ["a1", "b1"]


def test_a_tenth_of_the_users_is_drawn_by_the_seed() -> None:
    dataset = shop({f"u{n:02}": [1, 2, 3] for n in range(50)} | {"x": [1]})
    drawn = {seed: split_users(dataset, seed=seed).users.tolist() for seed in range(5)}
    assert all(len(users) == 5 for users in drawn.values())
    assert split_users(dataset, seed=0).users.tolist() == drawn[0]
    assert len({tuple(users) for users in drawn.values()}) > 1
    assert list(dataset.user_ids).index("x") not in {user for users in drawn.values() for user in users}


def test_a_lone_user_is_not_held_out() -> None:
    assert len(split_users(shop({"a": [1, 2, 3]})).users) == 0


@given(
    st.dictionaries(
        st.sampled_from("abcdef"), st.lists(st.integers(0, 5), min_size=1, max_size=12), min_size=1
    ),
    st.booleans(),
)
def test_every_event_is_in_exactly_one_place(events: dict[str, list[int]], whole: bool) -> None:  # noqa: FBT001
    dataset = shop(events)
    held = hold_out(dataset, eligible(dataset), whole_moments=whole)
    assert sorted(items(held.train) + items(held.seen) + items(held.relevant)) == sorted(items(dataset))
    for user in held.users:
        seen = held.seen.times[held.seen.users == user]
        sought = held.relevant.times[held.relevant.users == user]
        assert len(seen) >= 1
        assert len(sought) >= 1
        assert seen.max() <= sought.min()
