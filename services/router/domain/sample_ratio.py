"""The test of the sizes of the variants. Importing it is cheap; the first test loads scipy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

LEAST_UNITS: Final = 100
"""Units below which no test is made, as in Flagsmith."""


def sample_ratio_p(units: Sequence[int], weights: Sequence[float]) -> float | None:
    """Return the p-value of the numbers of units against the weights; None below a hundred units.

    Below 0.001 the assignment or the counting is faulty, and no result is valid.
    """
    if sum(units) < LEAST_UNITS:
        return None
    from services.router.statistics import chi_squared_p  # noqa: PLC0415 - 50 MB that only results need

    p = float(chi_squared_p(units, weights))
    return None if math.isnan(p) else p
