"""Weights of a bandit's variants for the next period, by Thompson sampling with a floor."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from services.router.statistics.moments import Floats, SampleMoments, divide, floats

DRAWS: Final = 10_000
"""Draws from the posterior, as in GrowthBook: a probability of 0.5 has a standard error of 0.005."""
LEAST_UNITS: Final = 100
"""Units of a variant below which the weights stay equal, because the normal posterior is asymptotic."""


def propensity_weighted_moments(
    n: ArrayLike, total: ArrayLike, squares: ArrayLike, propensities: ArrayLike
) -> SampleMoments:
    """Return the moments of variants over periods with different weights, float64[V] each.

    The arguments are [periods, V]: units, Σy, Σy², and the probability of a unit to get the variant. A unit
    counts 1 / propensity: m = Σ y/p / Σ 1/p (Hájek 1971), with the linearised variance Σ ((y − m)/p)² /
    (Σ 1/p)². A plain mean would compare the units of different times (Simpson's paradox), since a period in
    which everybody buys more may have had other weights. NaN for a variant without units.
    """
    units, sums, products = floats(n), floats(total), floats(squares)
    weight = np.where(units > 0, divide(1.0, propensities), 0.0)
    whole = np.sum(weight * units, axis=0)
    mean = divide(np.sum(weight * sums, axis=0), whole)
    spread = np.sum(weight**2 * (products - 2 * mean * sums + units * mean**2), axis=0)
    count = np.sum(units, axis=0)
    return SampleMoments(count, mean, divide(np.maximum(spread, 0.0), whole**2) * count)


def best_probabilities(
    moments: SampleMoments, rng: np.random.Generator, draws: int = DRAWS, *, higher_is_better: bool = True
) -> Floats:
    """Return the probability of each variant to have the best mean, float64[V], from moments[V].

    The posterior of a mean with a flat prior is normal with the standard error of the mean (Gelman et al.,
    Bayesian Data Analysis, 4.1). The probabilities sum to 1; they are equal while a variant has fewer than
    `LEAST_UNITS` units or no variance.
    """
    count = moments.mean.size
    deviation = np.sqrt(moments.squared_error)
    if np.any(moments.n < LEAST_UNITS) or not np.all(deviation > 0):
        return np.full(count, 1 / count)
    sampled = rng.normal(moments.mean, deviation, (draws, count))
    best = np.argmax(sampled if higher_is_better else -sampled, axis=1)
    return floats(np.bincount(best, minlength=count) / draws)


def bandit_weights(probabilities: Floats, floor: float, *, top_two: bool = True) -> Floats:
    """Return the weights of the next period, float64[V], from the probabilities to be best, float64[V].

    With `top_two` half of the traffic goes to the best variant and half to the best of the others, in
    expectation: w_i = p_i / 2 (1 + Σ_{j≠i} p_j / (1 − p_j)) (Russo, Simple Bayesian Algorithms for Best Arm
    Identification, COLT 2016), so the comparison with the runner-up never starves. Each weight is at least
    `floor`: w = floor + (1 − V floor) w, which keeps propensities above 0 for off-policy estimates. Raise
    ValueError for a floor outside of 0 to 1 / V.
    """
    p = floats(probabilities)
    if not 0 <= floor * p.size <= 1:
        message = f"a floor for {p.size} variants is between 0 and {1 / p.size:g}, not {floor}"
        raise ValueError(message)
    if top_two and np.all(p < 1):
        odds = p / (1 - p)
        p = p / 2 * (1 + odds.sum() - odds)
        p = p / p.sum()
    return floats(floor + (1 - p.size * floor) * p)
