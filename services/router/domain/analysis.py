"""From sums over people to the results of an experiment. Importing it loads numpy and scipy.

See docs/experiments.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from services.router import statistics
from services.router.domain.results import (
    Comparison,
    Estimate,
    Health,
    MetricResult,
    OneLook,
    Planning,
    Results,
    VariantMetric,
    VariantUnits,
    Verdict,
)
from services.router.statistics import Floats, Interval, SampleMoments, SampleSums

if TYPE_CHECKING:
    from services.router.domain.experiments import StoredVersion
    from services.router.domain.metric_sums import MetricSums
    from services.router.domain.metrics import Metric

ALPHA: Final = 0.05
LEAST_UNITS: Final = 100
"""People of a variant below which no verdict is given, because the intervals are asymptotic. Arbitrary."""
MISMATCH_P: Final = 0.001
"""Below it the sizes of the variants do not fit the weights (Fabijan et al., KDD 2019)."""
CROSSED_SHARE, LEAST_CROSSED = 0.01, 10
"""People in several variants above which results say little; GrowthBook's limits."""
DAY_SECONDS: Final = 86_400.0


class _Tested(NamedTuple):
    """The comparisons of a metric; arrays have the shape [treatments]."""

    absolute: statistics.Difference
    relative: statistics.Difference
    p: Floats


def analyse(
    version: StoredVersion, sums: MetricSums, *, pre_days: int, relative_effect: float, now: datetime
) -> Results:
    """Return the results of a version's phase.

    `pre_days` above 0 says that the sums of x of metrics without `per` are covariates.
    """
    names = [variant.name for variant in version.variants]
    n = np.array([sums.people[name].units if name in sums.people else 0 for name in names], dtype=np.float64)
    metrics = version.measured
    moments, slopes = [], []
    for number, metric in enumerate(metrics):
        totals = SampleSums(n, *np.array([sums.sums.get((number, name), (0.0,) * 5) for name in names]).T)
        sample, slope = _moments(metric, totals, pre_days=pre_days)
        moments.append(sample)
        slopes.append(slope)
    tested = [_test(sample) for sample in moments]
    adjusted = _adjusted([each.p for each in tested])
    return Results(
        name=version.name,
        phase=version.phase,
        versions=list(sums.versions),
        began_at=sums.began_at,
        counted_until=version.disabled_at,
        units=[
            VariantUnits(
                variant=variant.name,
                weight=variant.weight,
                units=int(units),
                disabled=variant.name in version.disabled,
            )
            for variant, units in zip(version.variants, n, strict=True)
        ],
        health=_health(version, sums, n),
        planning=_planning(moments[0], sums, relative_effect, now.astimezone(UTC)),
        metrics=[
            MetricResult(
                metric=metric,
                adjusted_by=_number(slope),
                variants=list(_variants(metric, names, sample, test, adjusted_p)),
            )
            for metric, slope, sample, test, adjusted_p in zip(
                metrics, slopes, moments, tested, adjusted, strict=True
            )
        ],
    )


def _moments(metric: Metric, sums: SampleSums, *, pre_days: int) -> tuple[SampleMoments, float]:
    """Return the moments of a metric, float64[V] each, and the slope of CUPED; NaN without adjustment."""
    if metric.per is not None:
        return statistics.ratio_moments(sums), math.nan
    if pre_days > 0 and np.any(sums.x != 0):
        sample, slope = statistics.cuped(sums)
        return sample, float(slope[0])
    if metric.measure == "conversion":
        return statistics.proportion_moments(sums.n, sums.y), math.nan
    return statistics.mean_moments(sums.n, sums.y, sums.yy), math.nan


def _test(sample: SampleMoments) -> _Tested:
    """Compare all variants with the first."""
    control = SampleMoments(*(part[:1] for part in sample))
    treatments = SampleMoments(*(part[1:] for part in sample))
    absolute = statistics.absolute_difference(treatments, control)
    return _Tested(
        absolute,
        statistics.relative_difference(treatments, control),
        statistics.always_valid_p(absolute, ALPHA),
    )


def _adjusted(p_values: Sequence[Floats]) -> list[Floats]:
    """Return adjusted p-values: of the deciding metric over its variants, of the others over all of them."""
    first, *secondary = p_values
    adjusted = [statistics.benjamini_hochberg(first)]
    if secondary:
        flat = statistics.benjamini_hochberg(np.concatenate(secondary))
        adjusted += np.split(flat, len(secondary))
    return adjusted


def _variants(
    metric: Metric, names: Sequence[str], sample: SampleMoments, tested: _Tested, adjusted_p: Floats
) -> Iterator[VariantMetric]:
    """Yield a metric of each variant."""
    # The t-quantile of the mean of one sample is that of its n - 1 degrees of freedom.
    single = statistics.Difference(
        sample.mean,
        np.sqrt(np.where(sample.variance > 0, sample.squared_error, np.nan)),
        np.maximum(sample.n - 1, 0),
        sample.n,
    )
    means = statistics.welch_interval(single, ALPHA)
    sequences = [statistics.confidence_sequence(each, ALPHA) for each in (tested.absolute, tested.relative)]
    looks = [statistics.welch_interval(each, ALPHA) for each in (tested.absolute, tested.relative)]
    one_look_p = statistics.welch_p(tested.absolute)
    chances = statistics.chance_to_win(tested.relative)
    if not metric.higher_is_better:
        chances = 1 - chances
    for index, name in enumerate(names):
        at = index - 1
        comparison = None
        if index > 0:
            comparison = Comparison(
                absolute=_estimate(tested.absolute.estimate, sequences[0], at),
                relative=_estimate(tested.relative.estimate, sequences[1], at),
                p=_number(tested.p[at]),
                adjusted_p=_number(adjusted_p[at]),
                one_look=OneLook(
                    absolute=_estimate(tested.absolute.estimate, looks[0], at),
                    relative=_estimate(tested.relative.estimate, looks[1], at),
                    p=_number(one_look_p[at]),
                ),
                chance_to_win=_number(chances[at]),
                verdict=_verdict(
                    metric, min(sample.n[0], sample.n[index]), tested.absolute.estimate[at], adjusted_p[at]
                ),
                guardrail=_guardrail(metric, sequences[1], at),
            )
        yield VariantMetric(variant=name, mean=_estimate(sample.mean, means, index), comparison=comparison)


def _verdict(metric: Metric, units: float, estimate: float, adjusted_p: float) -> Verdict:
    if units < LEAST_UNITS or math.isnan(adjusted_p):
        return "too few units"
    if adjusted_p >= ALPHA:
        return "no difference shown"
    return "better" if (estimate > 0) == metric.higher_is_better else "worse"


def _guardrail(metric: Metric, sequence: Interval, at: int) -> statistics.GuardrailState | None:
    if metric.margin is None:
        return None
    states = statistics.guardrail_state(sequence, metric.margin, higher_is_better=metric.higher_is_better)
    state: statistics.GuardrailState = states[at].item()
    return state


def _health(version: StoredVersion, sums: MetricSums, n: Floats) -> Health:
    weights = [variant.weight for variant in version.variants]
    fixed = _number(statistics.chi_squared_p(n, weights)) if n.sum() >= LEAST_UNITS else None
    sequential = _number(statistics.sequential_multinomial_p(n, weights))
    crossed = sum(people.crossed for people in sums.people.values())
    is_mismatch = sequential is not None and sequential < MISMATCH_P
    problems = []
    if is_mismatch:
        problems.append(
            f"The sizes of the variants do not fit the weights (p = {sequential:.2g}): the assignment or the "
            "counting is faulty, so no result is valid."
        )
    if crossed >= LEAST_CROSSED and crossed > CROSSED_SHARE * (n.sum() + crossed):
        problems.append(
            f"{crossed} people met several variants and do not count: those who remain may differ from them."
        )
    return Health(
        is_valid=not is_mismatch,
        problems=problems,
        sample_ratio_p=fixed,
        sample_ratio_sequential_p=sequential,
        crossed_units=crossed,
        merged_units=sum(people.merged for people in sums.people.values()),
        bots=sum(people.bots for people in sums.people.values()),
    )


def _planning(sample: SampleMoments, sums: MetricSums, relative_effect: float, now: datetime) -> Planning:
    """Return what the first metric needs, for the control and the smallest treatment."""
    smallest = 1 + int(np.argmin(sample.n[1:]))
    control, treatment = float(sample.n[0]), float(sample.n[smallest])
    units = control + treatment
    mean, variance = sample.mean[0], sample.variance[0]
    shares = (control / units, treatment / units) if control and treatment else (0.5, 0.5)
    required = statistics.required_units(mean, variance, relative_effect, shares, alpha=ALPHA)
    days = 0.0 if sums.began_at is None else (now - sums.began_at).total_seconds() / DAY_SECONDS
    detectable = statistics.minimum_detectable_effect(mean, variance, (control, treatment), alpha=ALPHA)
    required_number = _number(required)
    return Planning(
        relative_effect=relative_effect,
        required_units=None if required_number is None else math.ceil(required_number),
        units=int(units),
        days_left=_number(statistics.days_left(required, units, days)),
        detectable_effect=_number(detectable),
    )


def _estimate(values: Floats, interval: Interval, at: int) -> Estimate:
    return Estimate(value=_number(values[at]), low=_number(interval.low[at]), high=_number(interval.high[at]))


def _number(value: float | Floats) -> float | None:
    """Return a float; None for what JSON can't hold."""
    number = float(value)
    return number if math.isfinite(number) else None
