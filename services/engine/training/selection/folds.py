"""Held-out users as the rows of matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import TypeWeights
from services.engine.training.dataset.events import weighted_events
from services.engine.training.dataset.split import Holdout
from shared.models.audience import HISTORY
from shared.models.histories import WeightedEvents


@dataclass(frozen=True)
class Fold:
    """One way of holding users out, in rows: who saw what, and what is to be found."""

    train: Dataset
    held: Holdout
    excluded: NDArray[np.bool_]
    relevant: NDArray[np.bool_]

    @classmethod
    def of(cls, held: Holdout) -> Fold:
        """Make the held-out users the rows of `excluded` (seen items) and `relevant` (items to find)."""
        shape = (len(held.users), len(held.train.item_ids))
        marks = []
        for part in (held.seen, held.relevant):
            mark = np.zeros(shape, bool)
            mark[np.searchsorted(held.users, part.users), part.items] = True
            marks.append(mark)
        return cls(held.train, held, marks[0], marks[1])

    def every(self, step: int) -> Fold:
        """The same with each `step`-th row."""
        users = self.held.users[::step]
        kept = np.zeros(len(self.train.user_ids), bool)
        kept[users] = True
        parts = [part.where(kept[part.users]) for part in (self.held.seen, self.held.relevant)]
        held = Holdout(self.train, parts[0], parts[1], users)
        return Fold(self.train, held, self.excluded[::step], self.relevant[::step])

    def events(self, weights: TypeWeights) -> WeightedEvents:
        """Return the newest events that each row has seen, as many as a model scores."""
        seen = weighted_events(self.held.seen, weights)
        recent = seen.ages("event") < HISTORY
        return WeightedEvents(
            np.searchsorted(self.held.users, seen.users[recent]),
            seen.items[recent],
            seen.times[recent],
            seen.weights[recent],
        )
