"""Scores against a second, slow way of computing them from their definition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models import Ids, LaterEvents, ScoringComponent, SeenItems, sparse_workspace, user_scorer
from shared.models.user_scorer import HISTORY
from tests.unit.shared.scoring_models import (
    DAY,
    ITEMS,
    TYPES,
    WEIGHTS,
    Event,
    Row,
    events,
    histories,
    made,
    model,
    parts,
    table,
)


def by_definition(parts: Sequence[tuple[list[Row], float, float, str]], seen: Sequence[Event]) -> list[float]:
    """Each part: the mean of the events' rows, weighted by type and by decay to the power of age."""
    occasions: dict[tuple[int, int], float] = defaultdict(float)
    for item, kind, when in seen:
        weight = WEIGHTS[TYPES.index(kind)] if kind in TYPES else 0.0
        if weight:
            occasions[when, item] = max(occasions[when, item], weight)
    scores = [0.0] * ITEMS
    ordered = sorted(occasions)
    for content, weight, decay, unit in parts:
        steps: list[Any] = {
            "event": list(ordered),
            "second": sorted({when for when, _ in ordered}),
            "day": sorted({when // DAY for when, _ in ordered}),
        }[unit]
        ages = []
        for when, item in ordered:
            at = {"event": (when, item), "second": when, "day": when // DAY}[unit]
            ages.append(len(steps) - 1 - steps.index(at))
        said = [occasions[key] * decay**age for key, age in zip(ordered, ages, strict=True)]
        for (_, item), share in zip(ordered, said, strict=True):
            for other, likeness in content[item].items():
                scores[other] += weight * share / sum(said) * likeness
    return scores


@given(parts, events)
def test_live_scores_follow_the_definition(
    parts: list[tuple[list[Row], float, float, str]], seen: list[Event]
) -> None:
    found = model(made(parts)).recommend(
        history=[(f"i{item}", kind, when) for item, kind, when in seen], limit=ITEMS
    )
    if not any(kind != "search" for _, kind, _ in seen):
        assert [item for item, _ in found] == [f"i{number}" for number in range(ITEMS)]
        return
    expected = by_definition(parts, seen)
    assert len(found) == ITEMS
    for item, score in found:
        assert score == pytest.approx(expected[int(item[1:])], abs=2e-5)


@given(parts, st.lists(events, min_size=1, max_size=5))
def test_batch_scores_are_the_live_ones(
    parts: list[tuple[list[Row], float, float, str]], users: list[list[Event]]
) -> None:
    fitted = model(made(parts), users)
    queries = [f"u{number}" for number in range(len(users))] + ["nobody"]
    for query, items, scores in fitted.recommend_many(queries, 3):
        live = fitted.recommend(user_id=query, limit=3)
        assert items == [item for item, _ in live]
        assert scores == pytest.approx([score for _, score in live], abs=1e-6)


@given(
    parts,
    st.lists(events, min_size=1, max_size=4),
    st.booleans(),
    st.sampled_from(["softmax", "plain"]),
    st.integers(1, ITEMS),
    st.integers(0, 3),
)
def test_lists_of_a_wide_catalogue_are_those_of_any_other(
    given_: list[tuple[list[Row], float, float, str]],
    users: list[list[Event]],
    exclude_seen: bool,  # noqa: FBT001
    scale: str,
    limit: int,
    spare: int,
) -> None:
    fitted = model(made(given_), users, exclude_seen=exclude_seen)
    older = SeenItems(np.arange(len(users) + 1, dtype=np.int64), np.full(len(users), 2, np.int32))
    scoring = fitted.scoring.model_copy(update={"scale": scale, "temperature": 0.3})
    later = LaterEvents(Ids.of(["u0", "new"]), histories([[(3, "view", 9 * DAY)], [(4, "purchase", 0)]]))
    queries = ["u0", "nobody", "new", *(f"u{number}" for number in range(len(users)))]

    def lists() -> list[tuple[str, list[str], list[float]]]:
        # A model of its own, which keeps nothing of the one before.
        asked = replace(fitted, scoring=scoring, older=older)
        return [*asked.recommend_many(queries, limit, later=later), *asked.recommend_many(queries, limit)]

    expected = lists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(user_scorer, "MIN_ITEMS", 1)
        patch.setattr(sparse_workspace, "_SPARE", spare)
        patch.setattr(sparse_workspace, "_CELLS", 2 * ITEMS)
        found = lists()

    assert [(query, items) for query, items, _ in found] == [(query, items) for query, items, _ in expected]
    for (_, _, scores), (_, _, wanted) in zip(found, expected, strict=True):
        assert scores == pytest.approx(wanted, abs=2e-7)


@given(parts, events, events)
def test_stored_and_given_events_are_one_history(
    parts: list[tuple[list[Row], float, float, str]], stored: list[Event], given_: list[Event]
) -> None:
    fitted = model(made(parts), [stored])
    live = [(f"i{item}", kind, when) for item, kind, when in given_]
    together = [(f"i{item}", kind, when) for item, kind, when in stored + given_]
    assert fitted.recommend(user_id="u0", history=live) == fitted.recommend(history=together)


@given(parts)
def test_padding_a_table_changes_no_score(parts: list[tuple[list[Row], float, float, str]]) -> None:
    plain = made(parts)
    padded = [
        ScoringComponent(part.name, part.table.padded(), part.weight, part.decay, part.unit) for part in plain
    ]
    history = [("i0", "view", 1), ("i3", "purchase", 2)]
    assert model(plain).recommend(history=history) == model(padded).recommend(history=history)


def test_only_the_newest_events_are_scored() -> None:
    lonely = [{item: 1.0} for item in range(ITEMS)]
    history = [("i0", "view", 0)] + [("i1", "view", when) for when in range(1, HISTORY + 1)]
    found = dict(model([ScoringComponent("p", table(lonely))]).recommend(history=history))
    assert found["i1"] == pytest.approx(1, abs=1e-6)
    assert found["i0"] == pytest.approx(0, abs=1e-6)


def test_spellings_of_event_types_do_not_matter() -> None:
    lonely = [{(item + 1) % ITEMS: 1.0} for item in range(ITEMS)]
    fitted = model([ScoringComponent("p", table(lonely))])
    for _ in range(2):
        assert fitted.recommend(history=[("i2", "Order Completed", 1)]) == fitted.recommend(
            history=[("i2", "PURCHASE", 1)]
        )
    assert fitted.recommend(history=[("i2", "impression", 1)], limit=1)[0][0] == "i0"


def test_what_training_never_saw_is_ignored() -> None:
    lonely = [{(item + 1) % ITEMS: 1.0} for item in range(ITEMS)]
    fitted = model([ScoringComponent("p", table(lonely))])
    known, unknown = ("i2", "view", 1), ("brand new", "view", 2)
    assert fitted.recommend(history=[known, unknown]) == fitted.recommend(history=[known])
    assert fitted.recommend(history=[unknown]) == fitted.recommend()
