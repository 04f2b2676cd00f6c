"""Held-out users as the rows of matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import TypeWeights
from services.engine.training.dataset.events import weighted_events
from services.engine.training.dataset.split import Holdout
from shared.models.histories import WeightedEvents
from shared.models.user_scorer import HISTORY


@dataclass(frozen=True)
class Fold:
    """Training data without the newest events of held-out users, who are the rows of two matrices.

    `excluded` (items that a row has seen) and `relevant` (items to be recommended) are bool[rows, items].
    """

    train: Dataset
    held: Holdout
    excluded: NDArray[np.bool_]
    relevant: NDArray[np.bool_]

    @classmethod
    def of(cls, held: Holdout) -> Fold:
        """Return the fold of a holdout; a row is a user of `held.users`, in their order."""
        shape = (len(held.users), len(held.train.item_ids))
        matrices = []
        for events in (held.seen, held.relevant):
            matrix = np.zeros(shape, bool)
            matrix[np.searchsorted(held.users, events.users), events.items] = True
            matrices.append(matrix)
        return cls(held.train, held, matrices[0], matrices[1])

    def every(self, step: int) -> Fold:
        """Return the fold with each `step`-th row."""
        users = self.held.users[::step]
        kept = np.zeros(len(self.train.user_ids), bool)
        kept[users] = True
        seen, relevant = (part.where(kept[part.users]) for part in (self.held.seen, self.held.relevant))
        held = Holdout(self.train, seen, relevant, users)
        return Fold(self.train, held, self.excluded[::step], self.relevant[::step])

    def events(self, weights: TypeWeights) -> WeightedEvents:
        """Return the newest events that each row has seen, as many as a model scores from."""
        events = weighted_events(self.held.seen, weights)
        recent = events.ages("event") < HISTORY
        return WeightedEvents(
            np.searchsorted(self.held.users, events.users[recent]),
            events.items[recent],
            events.times[recent],
            events.weights[recent],
        )
