"""Reasons of a user's scores: shares of the events, of any kind of table, and of popularity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models import LatentFactors, ScoringComponent
from shared.models.contributions import MIN_SHARE, reasons
from tests.unit.shared.scoring_models import ITEMS, Event, Row, events, made, model, table

positive_rows = st.lists(
    st.dictionaries(st.integers(0, ITEMS - 1), st.floats(0.125, 2, width=32), max_size=4),
    min_size=ITEMS,
    max_size=ITEMS,
)
parts = st.lists(
    st.tuples(
        positive_rows, st.floats(0.1, 3), st.sampled_from([0.3, 1.0]), st.sampled_from(["event", "second"])
    ),
    min_size=1,
    max_size=2,
)


@given(parts, events)
def test_shares_are_what_the_rows_of_each_event_item_add_to_the_score(
    given_: list[tuple[list[Row], float, float, str]], seen: list[Event]
) -> None:
    history = [(f"i{item}", kind, when) for item, kind, when in seen]
    names = [f"i{number}" for number in range(ITEMS)]
    fitted = model(made(given_))
    explained = reasons(fitted, None, history, [*names, "unknown"], most=ITEMS)
    if all(kind == "search" for _, kind, _ in seen):
        assert explained == {}
        return

    def scores_of(event_item: int) -> dict[str, float | None]:
        only = [
            ([row if item == event_item else {} for item, row in enumerate(content)], weight, decay, unit)
            for content, weight, decay, unit in given_
        ]
        return dict(model(made(only)).recommend(history=history, limit=ITEMS))

    alone = {f"i{item}": scores_of(item) for item in {item for item, kind, _ in seen if kind != "search"}}
    for name in names:
        total = sum(scores[name] or 0.0 for scores in alone.values())
        if total > 0.01:
            expected = {item: (scores[name] or 0.0) / total for item, scores in alone.items()}
            shares = {reason.item_id: reason.share for reason in explained[name]}
            for item, share in expected.items():
                if share > MIN_SHARE + 0.001:
                    assert shares[item] == pytest.approx(share, abs=0.001)
            assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_types_and_stored_events_count_and_popularity_is_named_as_such() -> None:
    rows: list[Row] = [{1: 1.0}, {}, {1: 3.0}, *[{}] * 4]
    fitted = model([ScoringComponent("p", table(rows))], [[(2, "purchase", 1)]])
    explained = reasons(fitted, "u0", [("i0", "view", 2)], ["i1", "i5"])

    # A view counts half as much as a purchase, and the purchase has three times the weight.
    first, second = explained["i1"]
    assert (first.item_id, first.event_types) == ("i2", {"purchase"})
    assert (second.item_id, second.event_types) == ("i0", {"view"})
    assert (first.share, second.share) == pytest.approx((6 / 7, 1 / 7), abs=0.001)
    assert [reason.item_id for reason in explained["i5"]] == [None]
    assert reasons(fitted, "stranger", [], ["i1"]) == {}


def test_other_tables_are_asked_event_by_event() -> None:
    encoder = np.eye(ITEMS, dtype=np.float32)
    decoder = np.zeros((ITEMS, ITEMS), np.float32)
    decoder[3, 4] = 1.0
    fitted = model([ScoringComponent("p", LatentFactors(encoder, decoder))])
    (reason,) = reasons(fitted, None, [("i0", "view", 1), ("i3", "view", 2)], ["i4"])["i4"]

    assert reason.item_id == "i3"
    assert reason.share == pytest.approx(1, abs=0.001)


def test_lists_of_items_have_no_reasons() -> None:
    fitted = model([ScoringComponent("p", table([{}] * ITEMS))])
    of_items = replace(fitted, scoring=fitted.scoring.model_copy(update={"kind": "item"}))

    assert reasons(of_items, None, [("i0", "view", 1)], ["i1"]) == {}
