"""Held-out users as the rows of matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.engine.recipes import assembly
from services.engine.recipes.dataset import Dataset
from services.engine.recipes.holdout import Holdout
from services.engine.recipes.weights import TypeWeights
from shared.models.audience import HISTORY
from shared.models.histories import Occasions


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
        for part in (held.seen, held.sought):
            mark = np.zeros(shape, bool)
            mark[np.searchsorted(held.users, part.users), part.items] = True
            marks.append(mark)
        return cls(held.train, held, marks[0], marks[1])

    def every(self, step: int) -> Fold:
        """The same with each `step`-th row."""
        users = self.held.users[::step]
        kept = np.zeros(len(self.train.user_ids), bool)
        kept[users] = True
        parts = [part.where(kept[part.users]) for part in (self.held.seen, self.held.sought)]
        held = Holdout(self.train, parts[0], parts[1], users)
        return Fold(self.train, held, self.excluded[::step], self.relevant[::step])

    def occasions(self, weights: TypeWeights) -> Occasions:
        """Return the newest events that each row has seen, as many as a model scores."""
        seen = assembly.occasions_of(self.held.seen, weights)
        recent = seen.ages("event") < HISTORY
        return Occasions(
            np.searchsorted(self.held.users, seen.users[recent]),
            seen.items[recent],
            seen.times[recent],
            seen.weights[recent],
        )
