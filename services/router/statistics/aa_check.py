"""A permanent A/A test: halves of the control are compared with each other, which must find nothing."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.router.statistics.comparisons import absolute_difference, welch_p
from services.router.statistics.moments import Floats, SampleMoments, SampleSums, mean_moments, ratio_moments

SPLITS: Final = 1_000
"""Comparisons of two halves; their rate then has a standard error of 0.7 points. Arbitrary."""
SEED: Final = 20


def false_positive_rate(buckets: Floats, *, is_ratio: bool, alpha: float = 0.05) -> float:
    """Return the share of splits into halves in which Welch's test differs at `alpha`; NaN without amounts.

    buckets: float64[B, 6], rows of n, Σy, Σy², Σx, Σx², Σxy of the people of a bucket. Each split puts a
    random half of the buckets on one side. With 256 buckets the rate is between 2 and 9 % in 99 of 100
    samples of independent people (tests/unit/router/test_aa_check.py); more says that the standard error is
    too small: people are not the units that the metric counts, or a few of them decide it.
    """
    count = len(buckets)
    order = np.argsort(np.random.default_rng(SEED).random((SPLITS, count)), axis=1)
    is_first = order < count // 2
    halves = [
        _moments(mask.astype(np.float64) @ buckets, is_ratio=is_ratio) for mask in (is_first, ~is_first)
    ]
    p = welch_p(absolute_difference(halves[0], halves[1]))
    return float(np.mean(p[np.isfinite(p)] < alpha)) if np.isfinite(p).any() else float("nan")


def _moments(sums: Floats, *, is_ratio: bool) -> SampleMoments:
    totals = SampleSums(*sums.T)
    return ratio_moments(totals) if is_ratio else mean_moments(totals.n, totals.y, totals.yy)
