"""Weights of a bandit's next period, and its results. Importing it loads numpy and scipy.

See docs/experiments.md.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from services.router import statistics
from services.router.domain.health import LEAST_UNITS, MISMATCH_P, mismatch
from services.router.domain.results import BanditPeriod, BanditResult, BanditVariant, Estimate
from shared.experiments import Bandit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.router.domain.experiments import StoredVersion
    from services.router.domain.metric_sums import PeriodSums
    from services.router.domain.results import Results

ALPHA: Final = 0.05
SHOWN_PERIODS: Final = 100
"""Newest periods of a result. Arbitrary: four days of hours."""


def next_weights(version: StoredVersion, periods: Sequence[PeriodSums]) -> Mapping[str, float]:
    """Return the weights of the next period, which sum to 1; a disabled variant gets the floor.

    Two variants are weighted by their probabilities to be best: top-two sampling would keep both at a half.
    """
    assert isinstance(version.design, Bandit)
    weights = statistics.bandit_weights(
        _probabilities(version, periods), version.design.floor, top_two=len(version.enabled) > 2
    )
    names = [variant.name for variant in version.variants]
    return {name: round(float(weight), 6) for name, weight in zip(names, weights, strict=True)}


def bandit_result(version: StoredVersion, periods: Sequence[PeriodSums]) -> BanditResult:
    """Return the means over all periods, the probabilities to be best, and the weights of each period."""
    assert isinstance(version.design, Bandit)
    moments = _moments(version, periods)
    difference = statistics.Difference(
        moments.mean, np.sqrt(moments.squared_error), np.maximum(moments.n - 1, 0), moments.n
    )
    interval = statistics.welch_interval(difference, ALPHA)
    probabilities = _probabilities(version, periods)
    next_at = None
    if version.status == "running" and version.started_at is not None:
        next_at = version.started_at + timedelta(minutes=version.design.period_minutes)
    return BanditResult(
        next_at=next_at,
        variants=[
            BanditVariant(
                variant=variant.name,
                weight=variant.weight,
                units=int(moments.n[place]),
                mean=Estimate(
                    value=_number(moments.mean[place]),
                    low=_number(interval.low[place]),
                    high=_number(interval.high[place]),
                ),
                best=float(probabilities[place]),
            )
            for place, variant in enumerate(version.variants)
        ],
        periods=[
            BanditPeriod(
                version=period.version,
                began_at=period.began_at,
                weights=dict(period.weights),
                units={name: int(sums[0]) for name, sums in period.sums.items()},
            )
            for period in periods[-SHOWN_PERIODS:]
        ],
    )


def with_periods(version: StoredVersion, results: Results, periods: Sequence[PeriodSums]) -> Results:
    """Return the results of a bandit's last period with what all periods have taught.

    The sizes of the variants are tested over all periods, each against its own weights: tests of one period
    after another would pause a right bandit sooner or later.
    """
    names = [variant.name for variant in version.variants]
    counts = [[period.exposed.get(name, 0) for name in names] for period in periods]
    weights = [
        [0.0 if name in period.disabled else period.weights.get(name, 0.0) for name in names]
        for period in periods
    ]
    tested = [(n, w) for n, w in zip(counts, weights, strict=True) if sum(share > 0 for share in w) > 1]
    health = results.health
    if tested:
        counts, weights = map(list, zip(*tested, strict=True))
        is_large = sum(map(sum, counts)) >= LEAST_UNITS
        p = float(statistics.periods_multinomial_p(counts, weights))
        one_look_p = statistics.periods_chi_squared_p(counts, weights) if is_large else math.nan
        of_last = health.sample_ratio_sequential_p
        problems = [each for each in health.problems if of_last is None or each != mismatch(of_last)]
        is_mismatch = p < MISMATCH_P
        health = health.model_copy(
            update={
                "is_valid": not is_mismatch,
                "problems": [mismatch(p), *problems] if is_mismatch else problems,
                "sample_ratio_p": _number(one_look_p),
                "sample_ratio_sequential_p": p,
            }
        )
    return results.model_copy(update={"health": health, "bandit": bandit_result(version, periods)})


def _probabilities(version: StoredVersion, periods: Sequence[PeriodSums]) -> statistics.Floats:
    """Return the probability of each variant to be the best of those that are not disabled, float64[V]."""
    places = [place for place, variant in enumerate(version.variants) if variant in version.enabled]
    probabilities = np.zeros(len(version.variants))
    moments = statistics.SampleMoments(*(part[places] for part in _moments(version, periods)))
    probabilities[places] = statistics.best_probabilities(
        moments,
        np.random.default_rng(version.version),
        higher_is_better=version.measured[0].higher_is_better,
    )
    return probabilities


def _moments(version: StoredVersion, periods: Sequence[PeriodSums]) -> statistics.SampleMoments:
    """Return the moments of the variants over all periods, float64[V] each."""
    names = [variant.name for variant in version.variants]
    sums = np.array(
        [[period.sums.get(name, (0.0, 0.0, 0.0)) for name in names] for period in periods], dtype=np.float64
    ).reshape(len(periods), len(names), 3)
    shares = np.array([[period.weights.get(name, 0.0) for name in names] for period in periods])
    return statistics.propensity_weighted_moments(
        sums[..., 0], sums[..., 1], sums[..., 2], shares.reshape(len(periods), len(names))
    )


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
