"""What is popular: the answer for who is not known, and what fills short lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shared.models.scoring import DECIMALS, Numbers, Scores, best


@dataclass(frozen=True)
class Popularity:
    """How many users turned to each item, by its number."""

    counts: NDArray[np.float32]

    @cached_property
    def order(self) -> Numbers:
        """All items, the most popular first."""
        return np.argsort(-self.counts, kind="stable").astype(np.int64)

    @cached_property
    def shares(self) -> Scores:
        """Of the sum."""
        total = float(self.counts.sum(dtype=np.float64))
        shares: Scores = np.round(self.counts.astype(np.float64) / max(total, 1.0), DECIMALS)
        return shares

    def best(
        self,
        barred: Sequence[int],
        limit: int,
        allowed: NDArray[np.bool_] | None = None,
        bonus: Scores | None = None,
        factor: Scores | None = None,
    ) -> tuple[Numbers, Scores]:
        """The most popular of the items that are allowed and not barred, with their shares.

        `factor` multiplies the shares, which then add up to 1 again; `bonus` raises items by shares of the
        highest one.
        """
        if bonus is not None or factor is not None:
            return self._moved(barred, limit, allowed, bonus, factor)
        numbers = self.order
        if allowed is not None:
            numbers = numbers[allowed[numbers]]
        if barred:
            numbers = numbers[: limit + len(set(barred))]
            numbers = numbers[~np.isin(numbers, barred)]
        numbers = numbers[:limit]
        return numbers, self.shares[numbers]

    def _moved(
        self,
        barred: Sequence[int],
        limit: int,
        allowed: NDArray[np.bool_] | None,
        bonus: Scores | None,
        factor: Scores | None,
    ) -> tuple[Numbers, Scores]:
        """An order that holds once: to sort all items for it would cost the most."""
        shares = self.shares.copy()
        if factor is not None:
            shares *= factor
            shares /= max(float(shares.sum()), np.finfo(float).tiny)
        if bonus is not None:
            shares += bonus * shares.max(initial=0.0)
        shares[barred] = -np.inf
        numbers = best(shares, limit, allowed)
        scores: Scores = shares[numbers]
        return numbers, scores.round(DECIMALS)
