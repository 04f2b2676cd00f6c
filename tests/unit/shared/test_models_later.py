"""What users did after training counts in a batch as it does live."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models import Histories, Ids, LaterEvents, Model, Neighbours, Scoring, ScoringComponent, SeenItems
from shared.models.exploration import Bonus

ITEMS = [f"i{number}" for number in range(6)]


def histories(rows: list[list[tuple[int, int]]]) -> Histories:
    """(item, second) of each user."""
    events = [event for row in rows for event in sorted(row, key=lambda event: (event[1], event[0]))]
    offsets = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
    items, times = (np.array([event[at] for event in events], np.int64) for at in (0, 1))
    return Histories(offsets, items.astype(np.int32), np.zeros(len(items), np.int16), times)


def model(stored: list[list[tuple[int, int]]], *, exclude_seen: bool) -> Model:
    random = np.random.default_rng(0)
    count = len(ITEMS)
    table = Neighbours(
        np.arange(count + 1) * count,
        np.tile(np.arange(count, dtype=np.int32), count),
        random.random(count * count).astype(np.float32),
    )
    return Model(
        recipe="test",
        scoring=Scoring(kind="user", scored=True, exclude_seen=exclude_seen),
        items=Ids.of(ITEMS),
        users=Ids.of([f"u{number}" for number in range(len(stored))]),
        popularity=np.arange(count, dtype=np.float32),
        histories=histories(stored),
        older=SeenItems(np.zeros(len(stored) + 1, np.int64), np.zeros(0, np.int32)),
        components=(ScoringComponent("table", table, decay=0.5),),
    )


events = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=4)


@given(st.lists(events, min_size=2, max_size=2), st.lists(events, min_size=2, max_size=2), st.booleans())
def test_a_batch_is_what_live_scoring_says(
    stored: list[list[tuple[int, int]]],
    newer: list[list[tuple[int, int]]],
    exclude_seen: bool,  # noqa: FBT001
) -> None:
    made = model(stored, exclude_seen=exclude_seen)
    later = LaterEvents(Ids.of(["u1", "stranger"]), histories(newer))
    asked = ["nobody", "stranger", "u0", "u1"]
    given_ = {"u1": newer[0], "stranger": newer[1]}
    for user, items, scores in made.recommend_many(asked, 4, later=later):
        history = [(ITEMS[item], "", when) for item, when in given_.get(user, [])]
        live = made.recommend(user_id=user, history=history, limit=4, relevance=True)
        assert items == [item for item, _ in live]
        assert scores == pytest.approx([score for _, score in live], abs=1e-6)


def test_a_batch_explores_as_live_scoring_does() -> None:
    """Each user gets a draw of their own, also who has no events."""
    made = model([[(0, 1)], [(1, 1)], []], exclude_seen=False)

    def bonus() -> Bonus:
        young = np.array([2, 4])
        return Bonus.of(young, np.array([0.0, 3.0]), 1.0, len(ITEMS), np.random.default_rng(3))

    found = list(made.recommend_many(["u0", "u1", "u2"], 6, bonus=bonus()))

    chance = bonus()
    # Who has no events was drawn for beside the others, and again for what is popular.
    drawn = [chance.sample() for _ in range(4)]
    for (user, items, scores), each in zip(found, (drawn[0], drawn[1], drawn[3]), strict=True):
        live = made.recommend(user_id=user, limit=6, relevance=True, bonus=each)
        assert items == [item for item, _ in live]
        assert scores == pytest.approx([score for _, score in live], abs=1e-6)
    plain = list(made.recommend_many(["u0", "u1", "u2"], 6))
    assert all(
        lifted.index("i2") < usual.index("i2")
        for (_, lifted, _), (_, usual, _) in zip(found, plain, strict=True)
    )


def test_an_item_seen_long_ago_stays_left_out() -> None:
    """A hundred newer events push the stored one out of what is scored, not out of what was seen."""
    made = model([[(5, 1)]], exclude_seen=True)
    later = LaterEvents(Ids.of(["u0"]), histories([[(0, second) for second in range(2, 130)]]))
    [(_, items, _)] = made.recommend_many(["u0"], 6, later=later)
    assert sorted(items) == ["i1", "i2", "i3", "i4"]
