"""Exploration: new items are recommended a little more often than their scores say, to learn about them.

The bonus of a new item is a share of the user's best score: the exploration weight, over the root of one more
than the number of times that the item was interacted with or shown, times a random number.
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

_SECONDS_PER_DAY = 86_400
_MIN_FACTOR, _MAX_FACTOR = 0.5, 1.0
"""The bounds of the random factor. Arbitrary: the order of new items varies, and none loses its bonus."""


def eligible(model: Model, created_at: NDArray[np.float64] | None, config: Exploration) -> NDArray[np.int64]:
    """Return the numbers of the items that are newer than the cut-off: int64[new items].

    Age is counted back from the newest event. `created_at`, float64[items], is when the shop made each item,
    NaN where unknown; then, if exploration was asked for, the item's first event takes its place, and an item
    without any is new.
    """
    times = np.full(len(model.items), np.nan) if created_at is None else created_at
    # A shop may put milliseconds into the column: that says nothing of an item's age.
    times = np.where(times < LATEST.timestamp(), times, np.nan)
    if config.is_asked_for and len(model.first_event_times):
        first = np.where(model.first_event_times > 0, model.first_event_times, model.newest_event_time)
        times = np.where(np.isnan(times), first, times)
    oldest = model.newest_event_time - config.age_cut_off * _SECONDS_PER_DAY
    new: NDArray[np.int64] = np.flatnonzero(times >= oldest)
    return new


@dataclass(frozen=True, slots=True)
class Bonus:
    """The bonus of a model's new items, `numbers`: `shares` of the best score, before the random factor."""

    numbers: NDArray[np.int64]
    shares: NDArray[np.float64]
    count: int
    random: np.random.Generator

    @classmethod
    def of(
        cls,
        numbers: NDArray[np.int64],
        exposures: NDArray[np.float64],
        weight: float,
        count: int,
        random: np.random.Generator,
    ) -> Bonus:
        """Compute the shares of new items.

        `exposures`, float64[new items], is how often each was interacted with or shown; `count` is the number
        of all items.
        """
        return cls(numbers, weight / np.sqrt(1.0 + exposures), count, random)

    def covers(self, number: int) -> bool:
        """Return whether the item is one of the new ones."""
        at = int(np.searchsorted(self.numbers, number))
        return at < len(self.numbers) and int(self.numbers[at]) == number

    def sample(self) -> NDArray[np.float64]:
        """Return a bonus for every item, for one query: float64[items]."""
        bonus = np.zeros(self.count)
        bonus[self.numbers] = self._sampled(1)[0]
        return bonus

    def add_to(self, scores: NDArray[np.floating]) -> None:
        """Raise the new items' scores, float[rows, items], in place, by shares of each row's best score."""
        best = np.maximum(scores.max(axis=1, initial=0.0), 0.0)
        scores[:, self.numbers] += self._sampled(len(scores)) * best[:, None]

    def _sampled(self, rows: int) -> NDArray[np.float64]:
        factors = self.random.uniform(_MIN_FACTOR, _MAX_FACTOR, (rows, len(self.numbers)))
        sampled: NDArray[np.float64] = self.shares * factors
        return sampled
