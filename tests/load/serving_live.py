"""CPU of scoring a user's recent events with a model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from shared.models import Histories, Ids, Model, Neighbours, Scoring, ScoringComponent, SeenItems
from tests.load.figures import Figure
from tests.load.serving_ways import Budget, Reference

EVENTS = (10, 50, 100)
ROUNDS = 7
NEIGHBOURS = 200


def live_scoring(sizes: Sequence[int], scorings: int, reference: Reference) -> Iterator[Figure]:
    """Measure scoring with two components of 200 neighbours per item, by size of the model and history."""
    for items in sizes:
        model = _model(items)
        for events in EVENTS:
            budget = Budget(6 if items <= 5_000 else 25) if events == 50 else None
            history = [(f"product-{n * 7 % items}", "view", 1_700_000_000 + n) for n in range(events)]
            micros = [_scored(model, history, scorings) for _ in range(ROUNDS)]
            yield reference.figure(
                f"live scoring, {events} recent events, {items:,} items", micros, budget, "by one thread"
            )


def _scored(model: Model, history: list[tuple[str, str, int]], scorings: int) -> float:
    began = time.thread_time()
    for _ in range(scorings):
        model.recommend(user_id="somebody", history=history, limit=25)
    return (time.thread_time() - began) / scorings * 1e6


def _model(items: int) -> Model:
    rng, width = np.random.default_rng(1), min(NEIGHBOURS, items)
    parts = tuple(
        ScoringComponent(
            name,
            Neighbours(
                np.arange(items + 1, dtype=np.int64) * width,
                rng.integers(0, items, items * width, dtype=np.int32),
                rng.random(items * width, dtype=np.float32),
            ),
            0.5,
            0.95,
            "event",
        )
        for name in ("one", "two")
    )
    no_rows = np.zeros(1, np.int64)
    return Model(
        recipe="bench",
        scoring=Scoring(kind="user", scored=True, scale="softmax", event_types=("view", "")),
        items=Ids.of([f"product-{n}" for n in range(items)]),
        users=Ids.of([]),
        popularity=np.ones(items, np.float32),
        histories=Histories(no_rows, np.zeros(0, np.int32), np.zeros(0, np.int16), np.zeros(0, np.int64)),
        older=SeenItems(no_rows, np.zeros(0, np.int32)),
        components=parts,
    )
