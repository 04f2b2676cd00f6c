"""Preferences of units between interleaved variants: a sign test and a bootstrap interval."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from services.router.statistics.moments import Floats, floats

RESAMPLES: Final = 2_000
"""Resamples of the bootstrap; the ends of a 95 % interval are then the 50th from both sides."""


class Preference(NamedTuple):
    """Units that prefer the treatment, the control, or neither, and what follows.

    `share` is (wins + ties / 2) / units, above 0.5 in favour of the treatment, with its 95 % interval.
    """

    wins: int
    losses: int
    ties: int
    share: float
    low: float
    high: float
    p: float


def preference(
    treatment: ArrayLike, control: ArrayLike, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Preference:
    """Return the preference of units, from the credits of both variants, float64[U] each.

    Credits are the clicks or purchases on items that a variant picked. A unit prefers the variant with more
    credit, whatever the difference (Chapelle, Joachims, Radlinski, Yue, Large-Scale Validation and Analysis
    of Interleaved Search Evaluation, TOIS 2012). NaN without units.
    """
    signs = np.sign(floats(treatment) - floats(control))
    wins, losses = int(np.sum(signs > 0)), int(np.sum(signs < 0))
    ties = signs.size - wins - losses
    if not signs.size:
        return Preference(0, 0, 0, float("nan"), float("nan"), float("nan"), float("nan"))
    # A resample of the units is a multinomial draw of the three numbers.
    drawn = rng.multinomial(signs.size, np.array([wins, losses, ties]) / signs.size, resamples)
    low, high = np.quantile((drawn[:, 0] + drawn[:, 2] / 2) / signs.size, [0.025, 0.975])
    share = (wins + ties / 2) / signs.size
    return Preference(wins, losses, ties, share, float(low), float(high), float(sign_test_p(wins, losses)))


def sign_test_p(wins: ArrayLike, losses: ArrayLike) -> Floats:
    """Return the two-sided p-value of the exact sign test, float64[...]; 1 without wins and losses.

    Ties do not count (Conover, Practical Nonparametric Statistics, 3.4).
    """
    first, second = floats(wins), floats(losses)
    n = first + second
    tail = special.bdtr(np.minimum(first, second), np.maximum(n, 1).astype(np.int64), 0.5)
    return floats(np.where(n > 0, np.minimum(2 * tail, 1.0), 1.0))
