"""Exploration: young items are shown a little more often than their scores say, so that they get a chance.

The bonus of an item is a share of the best score: the weight, over the root of one more than how often the
item was met or shown, times a bit of chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shared.events.values import LATEST

if TYPE_CHECKING:
    from shared.aws.personalize.exploration import Exploration
    from shared.models import Model

EXPLORING = frozenset({"aws-user-personalization", "aws-ecomm-recommended-for-you"})
"""Recipes that show young items more often than their scores say."""

_DAY = 86_400
_LEAST, _MOST = 0.5, 1.0
"""The bounds of chance."""


def eligible(model: Model, created: NDArray[np.float64] | None, config: Exploration) -> NDArray[np.int64]:
    """The numbers of the items that are younger than the cut-off, seen from the newest event.

    An item's age counts from when the shop made it. Where that is unknown, and exploration was asked for, it
    counts from the item's first event; an item without any is new.
    """
    made = np.full(len(model.items), np.nan) if created is None else created
    # A shop may put milliseconds into the column: that says nothing of an item's age.
    made = np.where(made < LATEST.timestamp(), made, np.nan)
    if config.is_asked_for and len(model.born):
        first = np.where(model.born > 0, model.born, model.newest)
        made = np.where(np.isnan(made), first, made)
    young: NDArray[np.int64] = np.flatnonzero(made >= model.newest - config.age_cut_off * _DAY)
    return young


@dataclass(frozen=True, slots=True)
class Bonus:
    """What the young items of a model are lifted by: `shares` of the best score, by `numbers`."""

    numbers: NDArray[np.int64]
    shares: NDArray[np.float64]
    count: int
    chance: np.random.Generator

    @classmethod
    def of(
        cls,
        numbers: NDArray[np.int64],
        met: NDArray[np.float64],
        weight: float,
        count: int,
        chance: np.random.Generator,
    ) -> Bonus:
        """`met` is how often each of the young items was met or shown; `count` how many items there are."""
        return cls(numbers, weight / np.sqrt(1.0 + met), count, chance)

    def lifts(self, number: int) -> bool:
        """Whether the item is one of the young ones."""
        at = int(np.searchsorted(self.numbers, number))
        return at < len(self.numbers) and int(self.numbers[at]) == number

    def drawn(self) -> NDArray[np.float64]:
        """Every item's bonus for one request."""
        bonus = np.zeros(self.count)
        bonus[self.numbers] = self._draw(1)[0]
        return bonus

    def lift(self, scores: NDArray[np.floating]) -> None:
        """Raise the young items' scores in place, in each row by shares of its best score."""
        best = np.maximum(scores.max(axis=1, initial=0.0), 0.0)
        scores[:, self.numbers] += self._draw(len(scores)) * best[:, None]

    def _draw(self, rows: int) -> NDArray[np.float64]:
        drawn: NDArray[np.float64] = self.shares * self.chance.uniform(
            _LEAST, _MOST, (rows, len(self.numbers))
        )
        return drawn
