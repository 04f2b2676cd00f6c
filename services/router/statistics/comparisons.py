"""Differences of two variants: intervals for one look and for any number of looks, and a Bayesian chance."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from services.router.statistics.moments import Floats, SampleMoments, divide, floats

TUNED_UNITS: Final = 5_000
"""Units of both variants at which a confidence sequence is narrowest; GrowthBook's default N*."""


class Difference(NamedTuple):
    """The difference of two means with its standard error, degrees of freedom and units; float64[...]."""

    estimate: Floats
    standard_error: Floats
    degrees: Floats
    n: Floats


class Interval(NamedTuple):
    """The ends of an interval, float64[...] each."""

    low: Floats
    high: Floats

    def excludes(self, value: float | Floats) -> NDArray[np.bool_]:
        """Return whether a value is outside, bool[...]; False where the interval is NaN."""
        return np.asarray((self.low > value) | (self.high < value))


def absolute_difference(treatment: SampleMoments, control: SampleMoments) -> Difference:
    """Return the difference treatment − control of two independent samples.

    Unequal variances: the degrees of freedom are those of Welch and Satterthwaite (Biometrika 34, 1947).
    """
    estimate = floats(treatment.mean - control.mean)
    squared = treatment.squared_error + control.squared_error
    return _difference(estimate, squared, treatment, control)


def relative_difference(treatment: SampleMoments, control: SampleMoments) -> Difference:
    """Return the difference as a share of the control's mean, by the delta method; NaN if that mean is 0.

    Var = s²t / μ²c + s²c μ²t / μ⁴c, s² being the squared standard errors (Deng, Knoblich, Lu, KDD 2018).
    """
    estimate = divide(treatment.mean - control.mean, control.mean)
    squared = divide(treatment.squared_error, control.mean**2) + divide(
        control.squared_error * treatment.mean**2, control.mean**4
    )
    return _difference(estimate, squared, treatment, control)


def _difference(
    estimate: Floats, squared_error: Floats, treatment: SampleMoments, control: SampleMoments
) -> Difference:
    first, second = treatment.squared_error, control.squared_error
    spread = divide(first**2, np.maximum(treatment.n - 1, 0)) + divide(
        second**2, np.maximum(control.n - 1, 0)
    )
    degrees = divide((first + second) ** 2, spread)
    error = np.sqrt(np.where(squared_error > 0, squared_error, np.nan))
    return Difference(estimate, floats(error), degrees, floats(treatment.n + control.n))


def welch_interval(difference: Difference, alpha: float = 0.05) -> Interval:
    """Return the interval with coverage 1 − alpha of Welch's t-test. It is valid for one look alone.

    Welch, The Generalization of Student's Problem when Several Different Population Variances are Involved,
    Biometrika 34 (1947).
    """
    half = special.stdtrit(difference.degrees, 1 - alpha / 2) * difference.standard_error
    return Interval(floats(difference.estimate - half), floats(difference.estimate + half))


def welch_p(difference: Difference) -> Floats:
    """Return the two-sided p-value of Welch's t-test, float64[...]."""
    t = np.abs(divide(difference.estimate, difference.standard_error))
    return floats(2 * special.stdtr(difference.degrees, -t))


def confidence_sequence(
    difference: Difference, alpha: float = 0.05, tuned_units: int = TUNED_UNITS
) -> Interval:
    """Return the interval of an asymptotic confidence sequence: the probability that it ever misses is alpha.

    Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas: Time-uniform central limit theory and asymptotic confidence
    sequences (arXiv 2103.06476, 2023), theorem 2.2; ρ minimises the width at `tuned_units` (appendix B.2).
    """
    half = difference.standard_error * np.sqrt(_squared_width(difference.n, alpha, tuned_units))
    return Interval(floats(difference.estimate - half), floats(difference.estimate + half))


def relative_sequence(
    treatment: SampleMoments, control: SampleMoments, alpha: float = 0.05, tuned_units: int = TUNED_UNITS
) -> Interval:
    """Return the confidence sequence of the difference as a share of the control's mean.

    It holds the changes r whose contrast μt − (1 + r) μc has a confidence sequence with 0, so it excludes 0
    just when the sequence of the absolute difference does (Fieller, J. R. Stat. Soc. B 16, 1954). NaN where
    that set has no ends: where 0 is in the confidence sequence of the control's mean.
    """
    width = _squared_width(floats(treatment.n + control.n), alpha, tuned_units)
    squared = floats(control.mean**2 - width * control.squared_error)
    middle = floats(treatment.mean * control.mean)
    root = np.sqrt(np.maximum(middle**2 - squared * (treatment.mean**2 - width * treatment.squared_error), 0))
    bounded = np.where((squared > 0) & (root > 0), squared, np.nan)
    return Interval(floats((middle - root) / bounded - 1), floats((middle + root) / bounded - 1))


def always_valid_p(difference: Difference, alpha: float = 0.05, tuned_units: int = TUNED_UNITS) -> Floats:
    """Return the p-value of the same confidence sequence, float64[...]: below alpha just when it excludes 0.

    p = min(1, √(nρ² + 1) exp(−z² nρ² / (2 (nρ² + 1)))), the inverse of the mixture martingale, so that
    looking at any time and stopping at will keeps the error rate (Ville's inequality).
    """
    scaled, grown = _mixture(difference.n, alpha, tuned_units)
    z2 = divide(difference.estimate, difference.standard_error) ** 2
    return floats(np.minimum(1.0, np.sqrt(grown) * np.exp(-0.5 * divide(scaled, grown) * z2)))


def _squared_width(n: Floats, alpha: float, tuned_units: int) -> Floats:
    """Return the square of the half width of a confidence sequence in standard errors, float64[...]."""
    scaled, grown = _mixture(n, alpha, tuned_units)
    return floats(2 * divide(grown, scaled) * np.log(np.sqrt(grown) / alpha))


def _mixture(n: Floats, alpha: float, tuned_units: int) -> tuple[Floats, Floats]:
    """Return nρ² and nρ² + 1, float64[...] each."""
    log_alpha = -2 * np.log(alpha)
    scaled = floats(n * (log_alpha + np.log(log_alpha + 1)) / tuned_units)
    return scaled, floats(scaled + 1)


def chance_to_win(difference: Difference, prior_deviation: float = np.inf, prior_mean: float = 0.0) -> Floats:
    """Return the posterior probability that the treatment is better than the control, float64[...].

    The effect has a normal prior and a normal likelihood; an infinite `prior_deviation` is the flat prior.
    Precisions add: μ = (d / s² + m / τ²) / (1 / s² + 1 / τ²) (Gelman et al., Bayesian Data Analysis, 2.5).
    """
    precision = divide(1.0, difference.standard_error**2)
    prior = 0.0 if np.isinf(prior_deviation) else prior_deviation**-2
    mean = divide(difference.estimate * precision + prior_mean * prior, precision + prior)
    return floats(special.ndtr(mean * np.sqrt(precision + prior)))
