"""Context: what was met under the circumstances of a request more than otherwise comes first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shared.models import (
    Context,
    Histories,
    Ids,
    Model,
    Neighbours,
    Scoring,
    ScoringComponent,
    SeenItems,
    load,
    save,
)
from shared.models.context import MAX_FACTOR, PRIOR

ITEMS = ["coffee", "tea", "bread"]
# Coffee is met in the morning, tea in the evening, bread at any time; 100 events each.
COUNTED = Context(
    columns=("DAY_PART", "NOTE"),
    counted=("DAY_PART",),
    values=Ids.of(["0:evening", "0:morning"]),
    offsets=np.array([0, 3, 6]),
    items=np.array([0, 1, 2, 0, 1, 2], np.int32),
    counts=np.array([10, 90, 50, 90, 10, 50], np.float32),
    totals=np.full((1, 3), 100, np.float32),
)


def model(context: Context = COUNTED) -> Model:
    """Everybody's next item is coffee, tea or bread alike."""
    table = Neighbours(
        np.array([0, 3, 6, 9]), np.array([0, 1, 2] * 3, np.int32), np.full(9, 1 / 3, np.float32)
    )
    return Model(
        recipe="test",
        scoring=Scoring(kind="user", scored=True, scale="softmax"),
        items=Ids.of(ITEMS),
        users=Ids.of(["anna"]),
        popularity=np.array([2, 2, 3], np.float32),
        histories=Histories(
            np.array([0, 1]), np.array([2], np.int32), np.zeros(1, np.int16), np.array([1_700_000_000])
        ),
        older=SeenItems(np.zeros(2, np.int64), np.zeros(0, np.int32)),
        components=(ScoringComponent("next", table),),
        context=context,
    )


def order(found: list[tuple[str, float]]) -> list[str]:
    return [item for item, _ in found]


def test_a_factor_is_the_smoothed_lift_of_the_value() -> None:
    factor = COUNTED.factor({"DAY_PART": "morning"})

    assert factor is not None
    share = 150 / 300
    expected = [(count / share + PRIOR) / (100 + PRIOR) for count in (90, 10, 50)]
    assert factor.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("part", "first", "last"), [("morning", "coffee", "tea"), ("evening", "tea", "coffee")]
)
def test_a_known_and_an_unknown_user_get_items_that_fit_the_context(part: str, first: str, last: str) -> None:
    scored = model()
    for user in ("anna", "nobody"):
        listed = scored.recommend(user_id=user, context={"dayPart": part})
        assert listed[-1][0] == last
        # What is popular without a context is bread.
        assert listed[0][0] == first
        assert sum(score or 0 for _, score in listed) == pytest.approx(1, abs=1e-5)
        ranked = scored.rank(user, [], ITEMS, {"DAY_PART": part})
        assert (order(ranked)[0], order(ranked)[-1]) == (first, last)


def test_a_value_that_nobody_counted_changes_nothing() -> None:
    scored = model()
    plain = scored.recommend(user_id="anna")
    assert scored.recommend(user_id="anna", context={"DAY_PART": "noon"}) == plain
    assert scored.recommend(user_id="anna", context={"NOTE": "morning"}) == plain
    assert model(Context()).recommend(user_id="anna", context={"DAY_PART": "morning"}) == plain


def test_few_events_say_little_and_none_says_everything() -> None:
    few = replace(COUNTED, counts=COUNTED.counts / 100, totals=COUNTED.totals / 100)
    many = replace(COUNTED, counts=np.array([0, 1e6, 1, 1e6, 0, 1], np.float32), totals=np.full((1, 3), 1e6))
    little, much = few.factor({"DAY_PART": "morning"}), many.factor({"DAY_PART": "morning"})
    assert little is not None
    assert much is not None
    assert np.abs(little - 1).max() < 0.1
    assert (much.min(), much.max()) == (1 / MAX_FACTOR, pytest.approx(3, rel=1e-3))


def test_names_are_checked_where_the_columns_are_known() -> None:
    assert COUNTED.unknown({"dayPart": "morning", "NOTE": "a", "DEVICE": "phone"}) == ["DEVICE"]
    assert Context().unknown({"DEVICE": "phone"}) == []
    assert Context(columns=()).unknown({"DEVICE": "phone"}) == ["DEVICE"]


def test_it_is_kept_in_the_folder(tmp_path: Path) -> None:
    for number, context in enumerate((COUNTED, Context(columns=("NOTE",)), Context())):
        folder = tmp_path / str(number)
        save(model(context), folder)
        read = load(folder)
        assert (read.context.columns, read.context.counted) == (context.columns, context.counted)
        given = {"DAY_PART": "morning"}
        assert read.recommend(user_id="anna", context=given) == model(context).recommend(
            user_id="anna", context=given
        )
