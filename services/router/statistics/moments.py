"""Moments of samples from sums over units: means, proportions, ratios, and means adjusted by a covariate.

One unit is one observation, whatever number of requests or events it has: only units are independent.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class SampleMoments(NamedTuple):
    """Units, mean and variance of one unit, float64[...] each. `variance / n` is that of the mean."""

    n: Floats
    mean: Floats
    variance: Floats

    @property
    def squared_error(self) -> Floats:
        """Return the squared standard error of the mean, float64[...]; NaN for a sample without units."""
        return divide(self.variance, self.n)


class SampleSums(NamedTuple):
    """Sums over the units of a sample, float64[...] each: of y, of a second variable x, of their products.

    x is the denominator of a ratio, or a covariate of the time before the exposure.
    """

    n: Floats
    y: Floats
    yy: Floats
    x: Floats
    xx: Floats
    xy: Floats

    def pooled(self) -> SampleSums:
        """Return the sums over all variants, float64[..., 1] each, which the last axis holds."""
        return SampleSums(*(np.sum(total, axis=-1, keepdims=True) for total in self))


def floats(values: ArrayLike) -> Floats:
    """Return values as float64[...]."""
    return np.asarray(values, dtype=np.float64)


def divide(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Return the quotient, float64[...]; NaN where the denominator is 0."""
    bottom = floats(denominator)
    return floats(np.divide(floats(numerator), np.where(bottom == 0, np.nan, bottom)))


def mean_moments(n: ArrayLike, total: ArrayLike, squares: ArrayLike) -> SampleMoments:
    """Return the moments of a mean with the unbiased variance, from Σy and Σy² over n units.

    A variance that rounding made negative is 0; it is NaN below two units.
    """
    n, total = floats(n), floats(total)
    return SampleMoments(n, divide(total, n), _variance(n, floats(squares), total, total))


def proportion_moments(n: ArrayLike, successes: ArrayLike) -> SampleMoments:
    """Return the moments of a proportion, with the variance p (1 − p) of the maximum-likelihood estimate."""
    n = floats(n)
    share = divide(successes, n)
    return SampleMoments(n, share, floats(share * (1 - share)))


def ratio_moments(sums: SampleSums) -> SampleMoments:
    """Return the moments of the ratio Σy / Σx by the delta method, with the unit as cluster.

    Var(R) = (σ²y − 2 R σxy + R² σ²x) / μ²x (Deng, Knoblich, Lu: Applying the Delta Method in Metric
    Analytics, KDD 2018, equation 3). NaN where Σx is 0.
    """
    ratio = divide(sums.y, sums.x)
    mean_x = divide(sums.x, sums.n)
    yy = _variance(sums.n, sums.yy, sums.y, sums.y)
    xx = _variance(sums.n, sums.xx, sums.x, sums.x)
    xy = _covariance(sums.n, sums.xy, sums.x, sums.y)
    variance = divide(np.maximum(yy - 2 * ratio * xy + ratio * ratio * xx, 0.0), mean_x * mean_x)
    return SampleMoments(sums.n, ratio, variance)


def cuped(sums: SampleSums) -> tuple[SampleMoments, Floats]:
    """Return the moments of y adjusted by the covariate x, and the slope θ as float64[..., 1].

    The last axis holds the variants. ŷ = ȳ − θ (x̄ − x̄ of all variants), θ = cov(y, x) / var(x) over all
    units (Deng, Xu, Kohavi, Walker: Improving the Sensitivity of Online Controlled Experiments by Utilizing
    Pre-Experiment Data, WSDM 2013). x must have been measured before the exposure, else the estimate is
    biased. θ is 0 for a constant covariate.
    """
    pooled = sums.pooled()
    spread = _variance(pooled.n, pooled.xx, pooled.x, pooled.x)
    slope = divide(_covariance(pooled.n, pooled.xy, pooled.x, pooled.y), spread)
    slope = np.where(np.isnan(slope), 0.0, slope)
    mean = divide(sums.y, sums.n) - slope * (divide(sums.x, sums.n) - divide(pooled.x, pooled.n))
    yy = _variance(sums.n, sums.yy, sums.y, sums.y)
    xx = _variance(sums.n, sums.xx, sums.x, sums.x)
    xy = _covariance(sums.n, sums.xy, sums.x, sums.y)
    variance = np.maximum(yy + slope * slope * xx - 2 * slope * xy, 0.0)
    return SampleMoments(sums.n, floats(mean), floats(variance)), floats(slope)


def winsorized(values: ArrayLike, quantile: float) -> tuple[Floats, float]:
    """Return the values of units, float64[U], cut at a quantile of those above 0, and the value of the cut.

    The quantile is that of all variants together, linearly interpolated: a cut of its own for each variant
    would remove part of the effect. Without a value above 0 nothing is cut, and the cut is infinite.
    Raise ValueError for a quantile outside of 0 to 1.
    """
    units = floats(values)
    positive = units[units > 0]
    if not positive.size:
        return units, float("inf")
    cut = float(np.quantile(positive, quantile))
    return np.minimum(units, cut), cut


def _variance(n: Floats, squares: Floats, total: Floats, same: Floats) -> Floats:
    return np.maximum(_covariance(n, squares, total, same), 0.0)


def _covariance(n: Floats, products: Floats, first: Floats, second: Floats) -> Floats:
    """Return the unbiased covariance, float64[...]; NaN below two units."""
    degrees = np.where(n < 2, np.nan, n - 1)
    return floats((products - divide(first * second, n)) / degrees)
