"""Power: how many units an effect needs, which effect the units show, and how many days are left."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from services.router.statistics.moments import Floats, divide, floats


def required_units(
    mean: ArrayLike,
    variance: ArrayLike,
    relative_effect: ArrayLike,
    shares: tuple[float, float] = (0.5, 0.5),
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> Floats:
    """Return the units of control and treatment together, float64[...], that show an effect with the power.

    N = (z₁₋α/₂ + z_power)² σ² (1 / share_c + 1 / share_t) / δ², δ = mean × relative_effect (Chow, Shao, Wang:
    Sample Size Calculations in Clinical Research, 3.2). `shares` are those of the two. NaN for no effect.
    """
    delta = floats(mean) * floats(relative_effect)
    total = sum(shares)
    spread = total / shares[0] + total / shares[1]
    return divide(_quantiles(alpha, power) ** 2 * floats(variance) * spread, delta**2)


def minimum_detectable_effect(
    mean: ArrayLike,
    variance: ArrayLike,
    units: tuple[ArrayLike, ArrayLike],
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> Floats:
    """Return the relative effect, float64[...], that `units` of control and treatment show with the power.

    The inverse of `required_units`. NaN without units or for a mean of 0.
    """
    error = np.sqrt(floats(variance) * (divide(1.0, units[0]) + divide(1.0, units[1])))
    return divide(_quantiles(alpha, power) * error, np.abs(floats(mean)))


def days_left(required: ArrayLike, units: ArrayLike, days: ArrayLike) -> Floats:
    """Return the days until `required` units, float64[...], if units arrive as in the `days` so far.

    0 when they are reached; NaN while nobody came. First exposures get rarer with time: it is a lower bound.
    """
    rate = divide(units, days)
    return np.maximum(divide(floats(required) - floats(units), rate), 0.0)


def _quantiles(alpha: float, power: float) -> float:
    return float(special.ndtri(1 - alpha / 2) + special.ndtri(power))
