"""Sample-ratio mismatch: whether the sizes of the variants fit their weights.

The periods of a bandit have weights of their own: the tests of all periods together take a row for each.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from services.router.statistics.moments import Floats, divide, floats

CONCENTRATION: Final = 100.0
"""Weight of the prior of the sequential test, in units. Arbitrary: deviations of a tenth show first."""
FACTORS: Final = np.array([0.5, 0.7, 0.8, 0.9, 0.95, 1.05, 1.1, 1.2, 1.4, 2.0])
"""Factors of a variant's share for which the test of periods looks. Arbitrary."""


def chi_squared_p(counts: ArrayLike, weights: ArrayLike) -> Floats:
    """Return the p-value of Pearson's χ² test of counts, float64[..., V] → float64[...], against weights[V].

    Below 0.001 the assignment or the counting is faulty, and no result is valid (Fabijan et al., Diagnosing
    Sample Ratio Mismatch, KDD 2019). It is valid for one look. NaN without units.
    """
    observed = floats(counts)
    shares = floats(weights) / np.sum(weights)
    expected = np.sum(observed, axis=-1, keepdims=True) * shares
    statistic = np.sum(divide((observed - expected) ** 2, expected), axis=-1)
    return floats(special.chdtrc(shares.size - 1, statistic))


def sequential_multinomial_p(
    counts: ArrayLike, weights: ArrayLike, concentration: float = CONCENTRATION
) -> Floats:
    """Return an always-valid p-value of the same hypothesis, float64[..., V] → float64[...].

    The inverse Bayes factor of a Dirichlet prior around the weights against the weights: under the hypothesis
    it falls below p at any time with a probability of at most p (Lindon, Malek: Anytime-Valid Inference for
    Multinomial Count Data, NeurIPS 2022). So it may be read at any number of looks. 1 without units.
    """
    observed = floats(counts)
    shares = floats(weights) / np.sum(weights, axis=-1, keepdims=True)
    prior = concentration * shares
    n = np.sum(observed, axis=-1)
    log_factor = (
        special.gammaln(concentration)
        - special.gammaln(concentration + n)
        + np.sum(
            special.gammaln(prior + observed) - special.gammaln(prior) - observed * np.log(shares), axis=-1
        )
    )
    return floats(np.exp(-np.maximum(log_factor, 0.0)))


def periods_multinomial_p(counts: ArrayLike, weights: ArrayLike) -> Floats:
    """Return the always-valid p-value of periods with their own weights, float64[..., P, V] → float64[...].

    The inverse of a mean of likelihood ratios, each of which says that one variant gets its share times a
    factor in all periods. Under the hypothesis each is a martingale, whatever weights follow from earlier
    periods, and so is their mean (Robbins: Statistical Methods Related to the Law of the Iterated Logarithm,
    Annals of Mathematical Statistics 41, 1970). A variant whose weight is 0 in a period is not tested there.
    """
    observed, shares = _tested(counts, weights)
    n = np.sum(observed, axis=-1, keepdims=True)
    log_ratios = np.sum(
        observed[..., np.newaxis] * np.log(FACTORS)
        - n[..., np.newaxis] * np.log1p((FACTORS - 1) * shares[..., np.newaxis]),
        axis=-3,
    )
    log_mean = special.logsumexp(log_ratios, axis=(-2, -1)) - np.log(log_ratios.shape[-1] * shares.shape[-1])
    return floats(np.exp(-np.maximum(log_mean, 0.0)))


def periods_chi_squared_p(counts: ArrayLike, weights: ArrayLike) -> float:
    """Return the p-value for one look of periods with weights of their own, float64[P, V] each.

    The sums over the periods against their expectation, with the covariance of multinomial counts added up:
    a period of few people is no problem. NaN without units.
    """
    observed, shares = _tested(counts, weights)
    n = np.sum(observed, axis=1, keepdims=True)
    difference = np.sum(observed - n * shares, axis=0)
    covariance = np.diag(np.sum(n * shares, axis=0)) - (n * shares).T @ shares
    degrees = int(np.linalg.matrix_rank(covariance))
    if degrees == 0:
        return float("nan")
    return float(special.chdtrc(degrees, difference @ np.linalg.pinv(covariance) @ difference))


def _tested(counts: ArrayLike, weights: ArrayLike) -> tuple[Floats, Floats]:
    """Return counts and shares, float64[..., P, V] each, with 0 for variants without a weight."""
    shares = floats(weights) / np.sum(weights, axis=-1, keepdims=True)
    return np.where(shares > 0, floats(counts), 0.0), shares
