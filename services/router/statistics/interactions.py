"""Two experiments at the same time: whether one's assignment or effect depends on the other's variants."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from services.router.statistics.moments import divide, floats


def independence_p(counts: ArrayLike) -> float:
    """Return the p-value of Pearson's χ² test that two assignments are independent.

    counts: people by the variants of both, float64[A, B]. NaN with an empty row or column.
    """
    observed = floats(counts)
    rows, columns = observed.sum(axis=1, keepdims=True), observed.sum(axis=0, keepdims=True)
    expected = divide(rows * columns, observed.sum())
    statistic = float(np.sum(divide((observed - expected) ** 2, expected)))
    degrees = (observed.shape[0] - 1) * (observed.shape[1] - 1)
    return float(special.chdtrc(degrees, statistic))


def equal_effects_p(counts: ArrayLike, successes: ArrayLike) -> float:
    """Return the p-value of Cochran's Q test that the effects of A are the same in all variants of B.

    counts, successes: people and those who converted by the variants of both, float64[A, B]; the first row is
    A's control. With two variants each it is the z-test of the difference of two differences. Of several
    treatments the smallest p counts, multiplied by their number (Bonferroni). NaN where a cell shows nothing.
    (Cochran, The combination of estimates from different experiments, Biometrics 10, 1954.)
    """
    n, share = floats(counts), divide(successes, counts)
    squared = divide(share * (1 - share), n)
    effects = share[1:] - share[:1]
    precision = divide(1.0, squared[1:] + squared[:1])
    mean = divide(np.sum(precision * effects, axis=1, keepdims=True), precision.sum(axis=1, keepdims=True))
    statistic = np.sum(precision * (effects - mean) ** 2, axis=1)
    p = special.chdtrc(n.shape[1] - 1, statistic)
    return float(min(1.0, np.min(p) * len(p)))
