"""Popular items: the answer for unknown users, and what fills short lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shared.models.scoring import DECIMALS, Numbers, Scores, best


@dataclass(frozen=True)
class Popularity:
    """The number of users of each item: float32[items]."""

    counts: NDArray[np.float32]

    @cached_property
    def order(self) -> Numbers:
        """All items, the most popular first: int64[items]."""
        return np.argsort(-self.counts, kind="stable").astype(np.int64)

    @cached_property
    def shares(self) -> Scores:
        """Each item's share of the sum of all counts: float64[items]."""
        total = float(self.counts.sum(dtype=np.float64))
        shares: Scores = np.round(self.counts.astype(np.float64) / max(total, 1.0), DECIMALS)
        return shares

    def best(
        self,
        excluded: Sequence[int],
        limit: int,
        allowed: NDArray[np.bool_] | None = None,
        bonus: Scores | None = None,
        factor: Scores | None = None,
    ) -> tuple[Numbers, Scores]:
        """Return the most popular items that are allowed and not excluded, with their shares.

        `allowed` is bool[items]; `factor` multiplies the shares, which are then divided by their sum; `bonus`
        is added to them, as shares of the highest one: both float64[items]. Returns int64[limit] and
        float64[limit], fewer where there are not as many.
        """
        if bonus is not None or factor is not None:
            return self._reordered(excluded, limit, allowed, bonus, factor)
        numbers = self.order
        if allowed is not None:
            numbers = numbers[allowed[numbers]]
        if excluded:
            numbers = numbers[: limit + len(set(excluded))]
            numbers = numbers[~np.isin(numbers, excluded)]
        numbers = numbers[:limit]
        return numbers, self.shares[numbers]

    def _reordered(
        self,
        excluded: Sequence[int],
        limit: int,
        allowed: NDArray[np.bool_] | None,
        bonus: Scores | None,
        factor: Scores | None,
    ) -> tuple[Numbers, Scores]:
        """Return the best of one query's own scores, without sorting all items."""
        shares = self.shares.copy()
        if factor is not None:
            shares *= factor
            shares /= max(float(shares.sum()), np.finfo(float).tiny)
        if bonus is not None:
            shares += bonus * shares.max(initial=0.0)
        shares[excluded] = -np.inf
        numbers = best(shares, limit, allowed)
        scores: Scores = shares[numbers]
        return numbers, scores.round(DECIMALS)
