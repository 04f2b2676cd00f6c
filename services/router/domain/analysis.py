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
from services.router.domain.health import LEAST_UNITS, aa_rates, health_of, triggered_problems
from services.router.domain.results import (
    Comparison,
    Estimate,
    MetricResult,
    OneLook,
    Planning,
    Results,
    Triggered,
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
DAY_SECONDS: Final = 86_400.0


class _Tested(NamedTuple):
    """The comparisons of a metric; arrays have the shape [treatments]."""

    absolute: statistics.Difference
    relative: statistics.Difference
    sequences: tuple[Interval, Interval]
    """Of the absolute and of the relative difference."""
    p: Floats


def analyse(
    version: StoredVersion,
    sums: MetricSums,
    *,
    pre_days: int,
    relative_effect: float,
    now: datetime,
    counted_at: datetime | None = None,
    triggered: MetricSums | None = None,
) -> Results:
    """Return the results of a version's phase.

    `pre_days` above 0 says that the sums of x of metrics without `per` are covariates. `counted_at` is when
    the sums were counted, by default `now`. `triggered` are the sums of people whose answers differ.
    """
    results = _analyse(version, sums, pre_days, relative_effect, now, counted_at or now)
    if triggered is not None:
        part = _analyse(version, triggered, pre_days, relative_effect, now, counted_at or now)
        results.triggered = Triggered(
            units=part.units,
            sample_ratio_p=part.health.sample_ratio_p,
            sample_ratio_sequential_p=part.health.sample_ratio_sequential_p,
            metrics=part.metrics,
        )
        results.health.problems += triggered_problems(part.health)
    return results


def _analyse(
    version: StoredVersion,
    sums: MetricSums,
    pre_days: int,
    relative_effect: float,
    now: datetime,
    counted_at: datetime,
) -> Results:
    names = [variant.name for variant in version.variants]
    n = np.array([sums.people[name].units if name in sums.people else 0 for name in names], dtype=np.float64)
    metrics = version.measured
    rates = aa_rates(metrics, sums)
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
        counted_at=counted_at,
        health=health_of(version, sums, n, rates),
        planning=_planning(moments[0], sums, relative_effect, now.astimezone(UTC)),
        metrics=[
            MetricResult(
                metric=metric,
                adjusted_by=_number(slope),
                aa_false_positive_rate=rate,
                variants=list(_variants(metric, names, sample, test, adjusted_p)),
            )
            for metric, slope, sample, test, adjusted_p, rate in zip(
                metrics, slopes, moments, tested, adjusted, rates, strict=True
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
        (
            statistics.confidence_sequence(absolute, ALPHA),
            statistics.relative_sequence(treatments, control, ALPHA),
        ),
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
                absolute=_estimate(tested.absolute.estimate, tested.sequences[0], at),
                relative=_estimate(tested.relative.estimate, tested.sequences[1], at),
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
                guardrail=_guardrail(metric, tested.sequences[1], at),
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
