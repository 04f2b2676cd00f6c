"""Results of an experiment from sums over people: verdicts, guardrails, health and planning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pytest

from services.router.domain.experiments import StoredVersion
from services.router.domain.late_analysis import results_of
from services.router.domain.metric_sums import AnswerCounts, GroupCount, MetricSums, People
from services.router.domain.metrics import DEFAULT_METRICS, Metric
from services.router.domain.results import Comparison, Results
from services.router.worker import problem_of
from shared.experiments import Variant

NOW = datetime(2026, 11, 20, tzinfo=UTC)
BEGAN = NOW - timedelta(days=7)
CONVERSION = Metric(name="bought", event="purchase", margin=0.1)


def version(*metrics: Metric, variants: str = "ab", **fields: Any) -> StoredVersion:
    return StoredVersion.model_validate(
        {
            "tenant": "shop",
            "name": "e",
            "version": 1,
            "surface": "recommendations",
            "variants": [Variant(name=name) for name in variants],
            "traffic": 1.0,
            "salt": "salt",
            "status": "running",
            "created_at": BEGAN,
            "started_at": BEGAN,
            "metrics": metrics or None,
        }
        | fields
    )


def conversions(*pairs: tuple[int, int], crossed: int = 0) -> MetricSums:
    """Return the sums of one metric: units and conversions of the variants a, b, c."""
    names = "abcdefgh"[: len(pairs)]
    return MetricSums(
        [1],
        BEGAN,
        {name: People(units, crossed) for name, (units, _) in zip(names, pairs, strict=True)},
        {(0, name): (float(y), float(y), 0.0, 0.0, 0.0) for name, (_, y) in zip(names, pairs, strict=True)},
    )


def results(experiment: StoredVersion, sums: MetricSums, pre_days: int = 0) -> Results:
    return results_of(experiment, sums, pre_days=pre_days, relative_effect=0.1, now=NOW)


def compared(result: Results, metric: int = 0, variant: int = 1) -> Comparison:
    comparison = result.metrics[metric].variants[variant].comparison
    assert comparison is not None
    return comparison


def test_the_results_of_a_conversion_are_the_golden_values() -> None:
    result = results(version(CONVERSION), conversions((100_000, 4_210), (100_000, 4_680)))
    comparison = compared(result)

    assert comparison.one_look.p == pytest.approx(3.404e-7, rel=1e-3)
    absolute = comparison.absolute
    assert (absolute.low, absolute.high) == pytest.approx((0.0015352, 0.0078648), rel=1e-4)
    assert comparison.p == comparison.adjusted_p == pytest.approx(4.186e-5, rel=1e-3)
    assert (comparison.verdict, comparison.guardrail) == ("better", "safe")
    assert result.metrics[0].variants[0].comparison is None
    assert result.health.is_valid


def test_less_may_be_better() -> None:
    returns = Metric(name="returns", event="refund", higher_is_better=False)
    comparison = compared(results(version(returns), conversions((100_000, 4_210), (100_000, 4_680))))

    assert comparison.verdict == "worse"
    assert comparison.chance_to_win is not None
    assert comparison.chance_to_win < 0.01


def test_a_harmed_guardrail_and_a_mismatch_are_reasons_to_pause() -> None:
    good = results(version(CONVERSION), conversions((10_000, 500), (10_000, 500)))
    harmed = results(version(CONVERSION), conversions((100_000, 5_000), (100_000, 3_500)))
    lost = results(version(CONVERSION), conversions((10_000, 500), (9_000, 500)))

    assert problem_of(good) is None
    kind, reason = problem_of(harmed) or ("", "")
    assert (kind, compared(harmed).guardrail) == ("guardrail", "harmed")
    assert "b is worse on bought by more than the margin of 10%" in reason
    assert (problem_of(lost) or ("",))[0] == "sample_ratio"
    assert not lost.health.is_valid
    assert lost.health.sample_ratio_p is not None
    assert lost.health.sample_ratio_p < 1e-9


def test_a_day_whose_sizes_do_not_fit_is_named_but_does_not_end_the_measurement() -> None:
    """Sixty good days of a hundred people, and one on which a variant was lost."""
    groups = [GroupCount("day", f"day-{n:02}", name, 50) for n in range(60) for name in "ab"]
    groups.append(GroupCount("day", "day-60", "a", 90))
    people = {"a": People(3_090), "b": People(3_000)}
    health = results(version(CONVERSION), MetricSums([1], BEGAN, people, {}, groups)).health

    assert health.is_valid
    assert [group.units for group in health.groups][-2:] == [{"a": 50, "b": 50}, {"a": 90}]
    assert [group.p for group in health.groups][-2:] == [pytest.approx(1.0), None]
    assert [problem for problem in health.problems if "day day-60" in problem] == health.problems != []


def test_stored_sums_give_the_same_results() -> None:
    groups = [GroupCount("day", "2026-11-20", name, 1_000) for name in "ab"]
    sums = conversions((1_000, 50), (1_000, 70))._replace(groups=groups, aa_rates=[0.04])
    stored = MetricSums.of_document(orjson.loads(orjson.dumps(sums.document([0.04]))))
    result = results(version(CONVERSION), stored)

    assert result == results(version(CONVERSION), sums)
    assert result.metrics[0].aa_false_positive_rate == 0.04


def test_a_few_people_show_nothing() -> None:
    result = results(version(CONVERSION), conversions((20, 1), (22, 9)))
    nobody = results(version(), MetricSums([1], None, {}, {}))

    assert compared(result).verdict == "too few units"
    assert problem_of(result) is None
    assert problem_of(nobody) is None
    assert [each.metric.name for each in nobody.metrics] == [each.name for each in DEFAULT_METRICS]
    assert nobody.planning.required_units is None


def test_other_metrics_are_adjusted_together_and_the_first_over_its_variants_alone() -> None:
    metrics = (CONVERSION, Metric(name="clicks", event="click"), Metric(name="views", event="view"))
    rates = {0: (500, 560, 620), 1: (500, 530, 640), 2: (500, 500, 505)}
    sums = MetricSums(
        [1],
        BEGAN,
        {name: People(10_000) for name in "abc"},
        {
            (number, name): (float(y), float(y), 0.0, 0.0, 0.0)
            for number, row in rates.items()
            for name, y in zip("abc", row, strict=True)
        },
    )
    result = results(version(*metrics, variants="abc"), sums)
    first = [compared(result, 0, variant) for variant in (1, 2)]
    others = [compared(result, metric, variant) for metric in (1, 2) for variant in (1, 2)]

    assert first[1].adjusted_p == pytest.approx(2 * (first[1].p or 0))
    assert others[1].adjusted_p == pytest.approx(4 * (others[1].p or 0))
    assert all((each.adjusted_p or 0) >= (each.p or 0) for each in first + others)


def test_a_covariate_narrows_the_interval_and_a_ratio_has_none() -> None:
    revenue = Metric(name="revenue", event="purchase", measure="value")
    items = Metric.model_validate(
        {
            "name": "items-per-order",
            "event": "purchase",
            "measure": "events",
            "per": {"event": "purchase", "measure": "orders"},
        }
    )
    rng = np.random.default_rng(5)
    sums: dict[tuple[int, str], Any] = {}
    for name, effect in (("a", 0.0), ("b", 0.1)):
        before = rng.gamma(2, 1, 1_000)
        after = before + rng.normal(0, 0.3, 1_000) + effect
        orders = rng.poisson(2, 1_000) + 1.0
        lines = orders * 2 + rng.poisson(1, 1_000)
        for number, (y, x) in enumerate(((after, before), (lines, orders))):
            sums[number, name] = (y.sum(), (y * y).sum(), x.sum(), (x * x).sum(), (x * y).sum())
    people = {name: People(1_000) for name in "ab"}
    adjusted = results(version(revenue, items), MetricSums([1], BEGAN, people, sums), pre_days=14)
    plain = results(version(revenue, items), MetricSums([1], BEGAN, people, sums), pre_days=0)

    def width(comparison: Comparison) -> float:
        return (comparison.absolute.high or 0) - (comparison.absolute.low or 0)

    assert adjusted.metrics[0].adjusted_by == pytest.approx(1, abs=0.1)
    assert width(compared(adjusted)) < 0.3 * width(compared(plain))
    assert adjusted.metrics[1].adjusted_by is None
    assert adjusted.metrics[1].variants[0].mean.value == pytest.approx(2.33, abs=0.05)
    assert compared(adjusted, 1) == compared(plain, 1)


def test_planning_says_how_many_days_are_left() -> None:
    planning = results(version(CONVERSION), conversions((5_000, 250), (5_000, 250))).planning

    assert planning.required_units == pytest.approx(59_660, rel=0.001)
    assert planning.days_left == pytest.approx((59_660 - 10_000) / (10_000 / 7), rel=0.001)
    assert planning.detectable_effect == pytest.approx(0.1 * np.sqrt(59_660 / 10_000), rel=0.001)


def test_many_people_in_several_variants_are_a_problem_but_no_mismatch() -> None:
    result = results(version(CONVERSION), conversions((500, 20), (500, 20), crossed=10))

    assert result.health.is_valid
    assert result.health.crossed_units == 20
    assert "20 people met several variants" in result.health.problems[0]


def test_triggered_people_have_results_and_a_check_of_their_sizes() -> None:
    sums, few = conversions((50_000, 2_500), (50_000, 2_750)), conversions((5_000, 500), (5_050, 750))
    uneven = conversions((5_000, 500), (4_300, 750))
    arguments: Any = {"pre_days": 0, "relative_effect": 0.1, "now": NOW}
    right, wrong = (
        results_of(version(CONVERSION), sums, triggered=each, **arguments) for each in (few, uneven)
    )

    assert right.triggered is not None
    assert [each.units for each in right.triggered.units] == [5_000, 5_050]
    comparison = right.triggered.metrics[0].variants[1].comparison
    assert comparison is not None
    assert comparison.absolute.value == pytest.approx(750 / 5_050 - 0.1)
    assert right.metrics == results(version(CONVERSION), sums).metrics
    assert right.health.problems == []
    assert wrong.health.is_valid
    assert "Among people whose answers differ" in wrong.health.problems[0]


def test_variants_that_answer_otherwise_than_the_control_are_problems() -> None:
    """b falls back more often, c takes longer, and of d there are few answers."""
    answers = [("a", 5_000, 100, 4.0), ("b", 5_000, 250, 5.5), ("c", 5_000, 110, 30.0), ("d", 50, 50, 500.0)]
    devices = [("mobile", "a", 2_000), ("mobile", "b", 2_400), ("desktop", "a", 3_000)]
    sums = conversions((5_000, 500), (5_100, 500))._replace(
        groups=[GroupCount("device", *each) for each in (*devices, ("desktop", "b", 3_000))]
    )
    health = results(version(CONVERSION), sums).health
    split = version(CONVERSION, variants="abcd")
    slow = conversions(*[(5_000, 500)] * 4)._replace(answers=[AnswerCounts(*each, 90.0) for each in answers])
    of_answers = results(split, slow).health

    (problem,) = health.problems
    assert problem.startswith("The sizes of the variants do not fit the weights for the device mobile (p = ")
    assert [(each.kind, each.value) for each in health.groups] == [
        ("device", "desktop"),
        ("device", "mobile"),
    ]
    assert [each.fallback_share for each in of_answers.answers] == [0.02, 0.05, 0.022, 1.0]
    assert [(each.milliseconds, each.milliseconds_95) for each in of_answers.answers][2] == (30.0, 90.0)
    assert [problem.partition(":")[0] for problem in of_answers.problems] == [
        "Popular items stand in for those of b in 5.0% of its answers, for those of a in 2.0%",
        "Half of the answers of c take more than 30 ms, those of a 4 ms",
    ]
