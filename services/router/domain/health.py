"""Reasons to believe results, or not to: sizes of the variants, people in several of them, an A/A test."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from services.router import statistics
from services.router.domain.metric_sums import NOTHING
from services.router.domain.results import GroupSizes, Health, VariantAnswers, VariantEvents

if TYPE_CHECKING:
    from services.router.domain.experiments import StoredVersion
    from services.router.domain.metric_sums import AnswerCounts, GroupKind, MetricSums
    from services.router.domain.metrics import Metric
    from services.router.statistics import Floats

LEAST_UNITS: Final = 100
"""People of a variant below which no verdict is given, because the intervals are asymptotic. Arbitrary."""
MISMATCH_P: Final = 0.001
"""Below it the sizes of the variants do not fit the weights (Fabijan et al., KDD 2019)."""
CROSSED_SHARE, LEAST_CROSSED = 0.01, 10
"""People in several variants above which results say little; GrowthBook's limits."""
FALLBACK_DIFFERENCE: Final = 0.01
"""Difference of the shares of fallbacks that is a problem, if it is significant. Arbitrary."""
SLOWER, SLOWER_MS = 1.5, 20.0
"""A median time above the control's times this factor, and plus so many ms, is a problem. Arbitrary."""
LEAST_AA_UNITS: Final = 1_000
"""People of the control below which its halves are not compared: four for each of the buckets. Arbitrary."""
LARGEST_AA_RATE: Final = 0.1
"""Share of differing halves that is a problem; independent people stay below it (`statistics.aa_check`)."""


def health_of(version: StoredVersion, sums: MetricSums, n: Floats, rates: Sequence[float | None]) -> Health:
    """Return the health of a phase whose variants have `n` people, float64[V]."""
    weights = [variant.weight for variant in version.variants]
    fixed = _number(statistics.chi_squared_p(n, weights)) if n.sum() >= LEAST_UNITS else None
    sequential = _number(statistics.sequential_multinomial_p(n, weights))
    crossed = sum(people.crossed for people in sums.people.values())
    is_mismatch = sequential is not None and sequential < MISMATCH_P
    groups = list(_groups(version, sums))
    problems = [mismatch(sequential)] if is_mismatch and sequential is not None else []
    if crossed >= LEAST_CROSSED and crossed > CROSSED_SHARE * (n.sum() + crossed):
        problems.append(
            f"{crossed} people met several variants and do not count: those who remain may differ from them."
        )
    problems += _problems_of_groups(groups)
    problems += _problems_of_answers(version, sums.answers)
    problems += [
        f"Halves of the control differ on {metric.name} in {rate:.0%} of splits instead of 5 %: its "
        "intervals are too narrow. A few people may decide it; winsorize it, or count something per person."
        for metric, rate in zip(version.measured, rates, strict=True)
        if rate is not None and rate > LARGEST_AA_RATE
    ]
    return Health(
        is_valid=not is_mismatch,
        problems=problems,
        sample_ratio_p=fixed,
        sample_ratio_sequential_p=sequential,
        groups=groups,
        answers=[
            VariantAnswers(
                variant=each.variant,
                answers=each.answers,
                fallback_share=each.fallbacks / each.answers,
                milliseconds=each.milliseconds,
                milliseconds_95=each.milliseconds_95,
            )
            for each in sums.answers
        ],
        events=[
            VariantEvents(variant=each.variant, events=each.events, of_answers=each.of_answers / each.events)
            for each in sums.events
        ],
        crossed_units=crossed,
        merged_units=sum(people.merged for people in sums.people.values()),
        bots=sum(people.bots for people in sums.people.values()),
    )


def mismatch(p: float) -> str:
    """Return the sentence about sizes that do not fit."""
    return (
        f"The sizes of the variants do not fit the weights (p = {p:.2g}): the assignment or the counting is "
        "faulty, so no result is valid."
    )


def triggered_problems(health: Health) -> Iterator[str]:
    """Yield a sentence if the sizes do not fit among people whose answers differ; `health` is theirs."""
    p = health.sample_ratio_sequential_p
    if p is not None and p < MISMATCH_P:
        yield (
            f"Among people whose answers differ the sizes of the variants do not fit the weights "
            f"(p = {p:.2g}): the answers of a variant fail more often when they are compared, so the "
            "triggered results are not valid."
        )


def aa_rates(metrics: Sequence[Metric], sums: MetricSums) -> list[float | None]:
    """Return the false-positive rate of comparisons of halves of the control, by metric.

    None for a control of few people, and for stored sums that have no rate of the metric.
    """
    if not sums.buckets:
        return [*sums.aa_rates, *[None] * len(metrics)][: len(metrics)]
    if sum(bucket.units for bucket in sums.buckets) < LEAST_AA_UNITS:
        return [None] * len(metrics)
    return [
        _number(
            statistics.false_positive_rate(
                np.array([(bucket.units, *bucket.sums.get(number, NOTHING)) for bucket in sums.buckets]),
                is_ratio=metric.per is not None,
            )
        )
        for number, metric in enumerate(metrics)
    ]


def _groups(version: StoredVersion, sums: MetricSums) -> Iterator[GroupSizes]:
    """Yield the sizes of the variants in each group of people, with tests against the weights."""
    units: dict[tuple[GroupKind, str], dict[str, int]] = {}
    for kind, value, variant, count in sums.groups:
        units.setdefault((kind, value), {})[variant] = count
    weights = [variant.weight for variant in version.variants]
    for (kind, value), by_variant in sorted(units.items()):
        sizes = [by_variant.get(variant.name, 0) for variant in version.variants]
        yield GroupSizes(
            kind=kind,
            value=value,
            units=by_variant,
            p=_number(statistics.chi_squared_p(sizes, weights)) if sum(sizes) >= LEAST_UNITS else None,
            sequential_p=_number(statistics.sequential_multinomial_p(sizes, weights)),
        )


def _problems_of_groups(groups: Sequence[GroupSizes]) -> Iterator[str]:
    """Yield a sentence for each group whose sizes do not fit, with Bonferroni's limit for several groups."""
    for kind in sorted({group.kind for group in groups}):
        of_kind = [group for group in groups if group.kind == kind]
        for group in of_kind:
            p = group.sequential_p
            if p is not None and p < MISMATCH_P / len(of_kind):
                yield (
                    f"The sizes of the variants do not fit the weights for the {kind} {group.value} "
                    f"(p = {p:.2g}): look for what was different there."
                )


def _problems_of_answers(version: StoredVersion, answers: Sequence[AnswerCounts]) -> Iterator[str]:
    """Yield a sentence for each variant that answers more slowly than the control, or has more fallbacks."""
    by_variant = {each.variant: each for each in answers if each.answers >= LEAST_UNITS}
    control = by_variant.pop(version.variants[0].name, None)
    if control is None:
        return
    usual = control.fallbacks / control.answers
    for each in by_variant.values():
        share = each.fallbacks / each.answers
        counts = [(each.fallbacks, each.answers - each.fallbacks) for each in (control, each)]
        if abs(share - usual) > FALLBACK_DIFFERENCE and statistics.independence_p(counts) < MISMATCH_P:
            yield (
                f"Popular items stand in for those of {each.variant} in {share:.1%} of its answers, for "
                f"those of {control.variant} in {usual:.1%}: the variants differ in more than strategies."
            )
        if each.milliseconds > max(control.milliseconds * SLOWER, control.milliseconds + SLOWER_MS):
            yield (
                f"Half of the answers of {each.variant} take more than {each.milliseconds:.0f} ms, those of "
                f"{control.variant} {control.milliseconds:.0f} ms: its effect is also that of waiting."
            )


def _number(value: float | Floats) -> float | None:
    """Return a float; None for what JSON can't hold."""
    number = float(value)
    return number if math.isfinite(number) else None
