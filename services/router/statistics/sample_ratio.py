"""Sample-ratio mismatch: whether the sizes of the variants fit their weights."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from services.router.statistics.moments import Floats, divide, floats

CONCENTRATION: Final = 100.0
"""Weight of the prior of the sequential test, in units. Arbitrary: deviations of a tenth show first."""


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
    shares = floats(weights) / np.sum(weights)
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
