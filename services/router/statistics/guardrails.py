"""Guardrails: metrics that a treatment may not harm beyond a margin."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from services.router.statistics.comparisons import Interval

GuardrailState = Literal["safe", "harmed", "undecided"]


def guardrail_state(interval: Interval, margin: float, *, higher_is_better: bool = True) -> NDArray[np.str_]:
    """Return the state of a guardrail, str[...], from the interval of the relative difference.

    "safe": the whole interval is above −margin, so the treatment is not inferior; "harmed": the whole
    interval is below −margin; else, or for NaN, "undecided". Where less is better the signs are turned.
    With the interval of a confidence sequence the state may be read at any time. Non-inferiority by an
    interval: Schumi, Wittes, Through the looking glass, Trials 12 (2011). Raise ValueError for a negative
    margin.
    """
    if not margin >= 0:
        message = f"a margin is a share of at least 0, not {margin}"
        raise ValueError(message)
    low, high = (interval.low, interval.high) if higher_is_better else (-interval.high, -interval.low)
    return np.select([low > -margin, high < -margin], ["safe", "harmed"], "undecided")
