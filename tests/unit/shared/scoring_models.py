"""Small models, and the strategies that draw their parts and the events of users."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from shared.models import Histories, Ids, Model, Neighbours, Scoring, ScoringComponent, SeenItems

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


def made(parts: Sequence[tuple[list[Row], float, float, str]]) -> list[ScoringComponent]:
    return [
        ScoringComponent("p", table(content), weight, decay, unit) for content, weight, decay, unit in parts
    ]  # type: ignore[arg-type]
