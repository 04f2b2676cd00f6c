"""Scores against a second, slow way of computing them from their definition."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models import (
    Histories,
    Ids,
    LaterEvents,
    Model,
    Neighbours,
    Scoring,
    ScoringComponent,
    SeenItems,
    sparse_workspace,
    user_scorer,
)
from shared.models.scoring import best, nth_highest
from shared.models.user_scorer import HISTORY
from shared.models.workspace import Workspace

ITEMS = 7
TYPES = ("purchase", "view", "")
WEIGHTS = (1.0, 0.5, 0.0)
DAY = 86_400

Row = dict[int, float]
Event = tuple[int, str, int]

rows = st.lists(
    st.dictionaries(st.integers(0, ITEMS - 1), st.floats(-2, 2, width=32), max_size=4),
    min_size=ITEMS,
    max_size=ITEMS,
)
parts = st.lists(
    st.tuples(
        rows,
        st.floats(0.1, 3),
        st.sampled_from([0.3, 0.9, 1.0]),
        st.sampled_from(["event", "second", "day"]),
    ),
    min_size=1,
    max_size=3,
)
events = st.lists(
    st.tuples(
        st.integers(0, ITEMS - 1),
        st.sampled_from(["purchase", "view", "search"]),
        st.integers(0, 4).map(lambda step: step * DAY // 2),
    ),
    max_size=12,
)


def table(content: Sequence[Row]) -> Neighbours:
    offsets = np.cumsum([0, *(len(row) for row in content)])
    items = [item for row in content for item in row]
    weights = [weight for row in content for weight in row.values()]
    return Neighbours(offsets, np.array(items, np.int32), np.array(weights, np.float32))


def histories(users: Sequence[Sequence[Event]]) -> Histories:
    known = [sorted(set(events), key=lambda event: (event[2], event[0])) for events in users]
    flat = [event for events in known for event in events]
    return Histories(
        np.cumsum([0, *(len(events) for events in known)]),
        np.array([item for item, _, _ in flat], np.int32),
        np.array([TYPES.index(kind) if kind in TYPES else 2 for _, kind, _ in flat], np.int16),
        np.array([when for _, _, when in flat], np.int64),
    )


def model(
    parts: Sequence[ScoringComponent], users: Sequence[Sequence[Event]] = (), *, exclude_seen: bool = False
) -> Model:
    return Model(
        recipe="test",
        scoring=Scoring(
            kind="user", scored=True, event_types=TYPES, type_weights=WEIGHTS, exclude_seen=exclude_seen
        ),
        items=Ids.of([f"i{number}" for number in range(ITEMS)]),
        users=Ids.of([f"u{number}" for number in range(len(users))]),
        popularity=np.arange(ITEMS, 0, -1).astype(np.float32),
        histories=histories(users),
        older=SeenItems(np.zeros(len(users) + 1, np.int64), np.zeros(0, np.int32)),
        components=tuple(parts),
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


def made(parts: Sequence[tuple[list[Row], float, float, str]]) -> list[ScoringComponent]:
    return [
        ScoringComponent("p", table(content), weight, decay, unit) for content, weight, decay, unit in parts
    ]  # type: ignore[arg-type]


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


@given(st.lists(st.floats(-5, 5) | st.just(-math.inf), min_size=1, max_size=30), st.integers(1, 40))
def test_the_best_are_found_in_one_row_and_in_many(scores: list[float], limit: int) -> None:
    ordered = sorted(range(len(scores)), key=lambda number: (-scores[number], number))
    expected = [number for number in ordered if scores[number] > -math.inf][:limit]
    row = np.array(scores)
    assert best(row, limit).tolist() == expected
    offsets, numbers = Workspace(3, len(scores)).best(np.stack([row, row[::-1], row]), limit)
    assert offsets.tolist() == [0, len(expected), 2 * len(expected), 3 * len(expected)]
    assert numbers[: len(expected)].tolist() == expected


@pytest.mark.parametrize("filled", [1.0, 0.3, 0.0], ids=["all different", "mostly zeros", "all zeros"])
def test_the_nth_highest_of_each_row_is_found_however_many_scores_are_equal(filled: float) -> None:
    random = np.random.default_rng(5)
    scores = random.random((6, 900)) * (random.random((6, 900)) < filled)
    expected = np.sort(scores, axis=1)[:, ::-1]
    for place in (1, 25, 900):
        assert nth_highest(scores.copy(), place).tolist() == expected[:, place - 1].tolist()
        assert nth_highest(scores[2].copy(), place) == expected[2, place - 1]


def test_seen_items_are_left_out_in_both_ways() -> None:
    everything = [dict.fromkeys(range(ITEMS), 1.0) for _ in range(ITEMS)]
    seen = [(0, "view", 1), (2, "purchase", 2), (4, "search", 3)]
    fitted = model([ScoringComponent("p", table(everything))], [seen], exclude_seen=True)
    live = [item for item, _ in fitted.recommend(user_id="u0", history=[("i5", "view", 4)])]
    assert sorted(live) == ["i1", "i3", "i4", "i6"]
    (_, items, _), *_ = fitted.recommend_many(["u0"], 25)
    assert sorted(items) == ["i1", "i3", "i4", "i5", "i6"]


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


mask_of_items = st.lists(st.booleans(), min_size=ITEMS, max_size=ITEMS)


@given(parts, events, mask_of_items, st.integers(1, ITEMS), st.booleans())
def test_a_mask_restricts_what_is_recommended_and_changes_no_score(
    parts: list[tuple[list[Row], float, float, str]],
    seen: list[Event],
    allowed: list[bool],
    limit: int,
    exclude_seen: bool,  # noqa: FBT001
) -> None:
    fitted = model(made(parts), exclude_seen=exclude_seen)
    history = [(f"i{item}", kind, when) for item, kind, when in seen]
    everything = fitted.recommend(history=history, limit=ITEMS)
    found = fitted.recommend(history=history, limit=limit, allowed=np.array(allowed))
    assert found == [(item, score) for item, score in everything if allowed[int(item[1:])]][:limit]


@given(parts, st.lists(events, min_size=1, max_size=5), mask_of_items, mask_of_items)
def test_a_batch_takes_one_mask_for_all_or_one_each(
    parts: list[tuple[list[Row], float, float, str]],
    users: list[list[Event]],
    for_all: list[bool],
    for_first: list[bool],
) -> None:
    fitted = model(made(parts), users)
    queries = [f"u{number}" for number in range(len(users))] + ["nobody"]
    own = {"u0": np.array(for_first), "nobody": np.array(for_all)}
    for given_mask, mask in (
        (np.array(for_all), lambda _: np.array(for_all)),
        (own.get, own.get),
    ):
        for query, items, scores in fitted.recommend_many(queries, 3, given_mask):
            live = fitted.recommend(user_id=query, limit=3, allowed=mask(query))
            assert items == [item for item, _ in live]
            assert scores == pytest.approx([score for _, score in live], abs=1e-6)


@given(rows, mask_of_items, st.integers(0, ITEMS))
def test_similar_and_popular_items_are_masked_too(
    content: list[Row], allowed: list[bool], query: int
) -> None:
    mask = np.array(allowed)
    for kind in ("item", "popular"):
        like = replace(
            model([ScoringComponent("p", table(content))]), scoring=Scoring(kind=kind, scored=False)
        )
        everything = like.recommend(item_id=f"i{query}", limit=ITEMS, relevance=True)
        kept = [(item, score) for item, score in everything if allowed[int(item[1:])]]
        found = like.recommend(item_id=f"i{query}", limit=ITEMS, relevance=True, allowed=mask)
        assert found == kept
        ((_, items, scores),) = like.recommend_many([f"i{query}"], ITEMS, mask)
        assert list(zip(items, scores, strict=True)) == kept
        ((_, items, scores),) = like.recommend_many([f"i{query}"], ITEMS, lambda _: mask)
        assert list(zip(items, scores, strict=True)) == kept


@given(parts, events, st.lists(st.integers(0, ITEMS - 1), min_size=1, unique=True), st.booleans())
def test_a_ranking_is_a_softmax_over_what_is_given(
    parts: list[tuple[list[Row], float, float, str]],
    seen: list[Event],
    wanted: list[int],
    softmax: bool,  # noqa: FBT001
) -> None:
    scale = "softmax" if softmax else "plain"
    fitted = model(made(parts), exclude_seen=True)
    fitted = replace(fitted, scoring=fitted.scoring.model_copy(update={"scale": scale}))
    plain = replace(fitted, scoring=fitted.scoring.model_copy(update={"exclude_seen": False}))
    history = [(f"i{item}", kind, when) for item, kind, when in seen]
    ranked = fitted.rank("nobody", history, [*(f"i{item}" for item in wanted), "stranger"])
    everything = plain.recommend(history=history, limit=ITEMS)
    assert [item for item, _ in ranked] == [item for item, _ in everything if int(item[1:]) in wanted]
    assert fitted.rank("nobody", history, ["stranger"]) == []
    if softmax:
        assert sum(score for _, score in ranked) == pytest.approx(1, abs=1e-5)


def test_a_bonus_lifts_an_item_by_a_share_of_the_best() -> None:
    fitted = model([ScoringComponent("p", table([{1: 1.0, 2: 0.5}, *[{}] * 6]))])
    seen = [("i0", "view", 1)]
    bonus = np.zeros(ITEMS)
    bonus[5] = 0.8
    for history, before, after in (
        (seen, ["i1", "i2"], ["i1", "i5", "i2"]),
        ([], ["i0", "i1"], ["i5", "i0"]),
    ):
        plain = fitted.recommend(history=history, limit=2)
        lifted = fitted.recommend(history=history, limit=3, bonus=bonus)
        assert [item for item, _ in plain] == before
        assert [item for item, _ in lifted][: len(after)] == after
        assert [score for _, score in lifted] == sorted((score for _, score in lifted), reverse=True)


@given(
    st.lists(st.tuples(st.sampled_from([-math.inf, 0.0, 0.5, 1.0]), st.booleans()), min_size=1),
    st.integers(1, 8),
)
def test_the_best_among_some_are_those_that_are_left_when_the_others_are_barred(
    rows: list[tuple[float, bool]], limit: int
) -> None:
    scores = np.array([score for score, _ in rows])
    among = np.array([marked for _, marked in rows])
    barred = np.where(among, scores, -np.inf)
    assert best(scores, limit, among).tolist() == best(barred, limit).tolist()


def test_a_bonus_lifts_what_is_popular_for_a_stranger_too() -> None:
    fitted = model([ScoringComponent("p", table([{}] * ITEMS))])
    bonus = np.zeros(ITEMS)
    bonus[5] = 0.8
    names = fitted.items.strings

    def found(**asked: Any) -> list[str]:
        return [item for item, _ in fitted.recommend(user_id="stranger", bonus=bonus, **asked)]

    assert found(limit=3) == [names[5], names[0], names[1]]
    assert found(limit=2, exclude={names[0]}) == [names[5], names[1]]
    allowed = np.arange(ITEMS) % 2 == 0
    assert found(limit=ITEMS, allowed=allowed) == [names[0], names[2], names[4], names[6]]
