"""Corrections for several metrics or variants that are tested at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from services.router.statistics.moments import Floats, floats


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Return p-values adjusted over the last axis, float64[..., M].

    Those below q have a false-discovery rate of q. The step-up procedure: p(i) m / i, made monotonic from the
    largest down (Benjamini, Hochberg, Journal of the Royal Statistical Society B 57, 1995). A NaN
    is no test: it stays NaN and does not count in m.
    """
    p = floats(p_values)
    order = np.argsort(p, axis=-1)  # NaN goes to the end
    tests = np.sum(~np.isnan(p), axis=-1, keepdims=True)
    scaled = np.take_along_axis(p, order, -1) * tests / np.arange(1, p.shape[-1] + 1)
    # From the end: the smallest of this and all larger p-values; fmin passes over NaN.
    monotonic = np.fmin.accumulate(scaled[..., ::-1], axis=-1)[..., ::-1]
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(monotonic, 1.0), -1)
    return np.where(np.isnan(p), np.nan, adjusted)
