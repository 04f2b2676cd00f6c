"""Bandits: what their periods tell, the next weights, and the versions of which they consist."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from services.router.domain.bandits import bandit_result, next_weights, with_periods
from services.router.domain.experiments import Definition, StoredVersion, next_version, period_of
from services.router.domain.late_analysis import results_of
from services.router.domain.metric_sums import MetricSums, People, PeriodSums
from services.router.statistics import propensity_weighted_moments
from shared.experiments import Experiment

NOW = datetime.now(UTC)
DESIGN = {"kind": "bandit", "floor": 0.05}
UNITS = [f"u{number}" for number in range(2_000)]


def a_version(**fields: Any) -> StoredVersion:
    document = {
        "tenant": "shop",
        "name": "band",
        "version": 1,
        "surface": "recommendations",
        "variants": [{"name": "a"}, {"name": "b"}],
        "traffic": 1.0,
        "salt": "salt",
        "status": "running",
        "created_at": NOW,
        "started_at": NOW,
        "design": DESIGN,
    }
    return StoredVersion.model_validate(document | fields)


def a_period(number: int, weights: tuple[float, float], *converted: tuple[int, int]) -> PeriodSums:
    """Return a period with (people, conversions) of a and b."""
    sums = {name: (float(n), float(y), float(y)) for name, (n, y) in zip("ab", converted, strict=True)}
    return PeriodSums(number, NOW, dict(zip("ab", weights, strict=True)), sums)


def test_people_count_by_the_inverse_of_their_propensity() -> None:
    rng = np.random.default_rng(5)
    shares = np.array([[0.5, 0.5], [0.9, 0.1]])
    n = np.array([[500, 480], [950, 90]])
    values = [[rng.normal(1, 2, count) for count in row] for row in n]
    total = [[float(each.sum()) for each in row] for row in values]
    squares = [[float((each**2).sum()) for each in row] for row in values]

    moments = propensity_weighted_moments(n, total, squares, shares)

    for variant in (0, 1):
        y = np.concatenate([values[period][variant] for period in (0, 1)])
        w = np.concatenate([np.full(n[period, variant], 1 / shares[period, variant]) for period in (0, 1)])
        mean = np.average(y, weights=w)
        error = np.sqrt(np.sum((w * (y - mean)) ** 2)) / w.sum()
        assert moments.mean[variant] == pytest.approx(mean)
        assert moments.squared_error[variant] ** 0.5 == pytest.approx(error)
    assert list(moments.n) == [1_450, 570]


def test_a_better_time_is_no_better_variant() -> None:
    # b is better by a tenth in both periods; plain means are 0.071 and 0.037.
    periods = [
        a_period(1, (0.5, 0.5), (10_000, 200), (10_000, 220)),
        a_period(2, (0.9, 0.1), (18_000, 1_800), (2_000, 220)),
    ]
    result = bandit_result(a_version(version=2), periods)

    assert [each.mean.value for each in result.variants] == pytest.approx([0.06, 0.066])
    assert result.variants[1].best > 0.9
    assert next_weights(a_version(version=2), periods)["b"] > 0.5


def test_weights_follow_the_rewards_and_keep_a_floor() -> None:
    clear = [a_period(1, (0.5, 0.5), (5_000, 250), (5_000, 400))]
    few = [a_period(1, (0.5, 0.5), (80, 1), (5_000, 400))]

    assert next_weights(a_version(), clear)["b"] > 0.9
    assert next_weights(a_version(), clear)["a"] >= 0.05
    assert next_weights(a_version(), few) == {"a": 0.5, "b": 0.5}
    assert next_weights(a_version(), []) == {"a": 0.5, "b": 0.5}
    assert next_weights(a_version(disabled=("b",)), clear) == {"a": 0.95, "b": 0.05}
    fewer = a_version(metrics=[{"name": "refunds", "event": "refund", "higher_is_better": False}])
    assert next_weights(fewer, clear)["a"] > 0.9


def test_a_period_is_a_version_with_the_same_people_and_other_variants() -> None:
    first = a_version(traffic=0.5, forced={"me": "b"})
    fields = period_of(first, {"a": 0.2, "b": 0.8})
    second = a_version(**fields)
    third = a_version(**period_of(second, {"a": 0.2, "b": 0.8}))

    assert (second.version, second.phase, second.salt, third.salt) == (2, 2, "salt#2", "salt#3")
    taking = [[unit for unit in UNITS if each.takes_part(unit)] for each in (first, second, third)]
    assert taking[0] == taking[1] == taking[2]
    variants = [[each.assign(unit) for unit in taking[0]] for each in (second, third)]
    assert sum(x == y for x, y in zip(*variants, strict=True)) == pytest.approx(680, abs=60)
    assert second.propensity(second.variants[1]) == 0.8
    assert Experiment.of(second.changed()).design == second.design


def test_a_definition_that_is_posted_again_keeps_what_was_learnt() -> None:
    definition = Definition.model_validate(
        {"name": "band", "surface": "recommendations", "variants": [{"name": "a"}, {"name": "b"}]}
        | {"design": DESIGN, "salt": "salt"}
    )
    learnt = a_version(**period_of(a_version(), {"a": 0.1, "b": 0.9}))

    assert next_version(definition, learnt, "new") is None
    longer = definition.model_copy(update={"traffic": 0.5})
    assert (next_version(longer, learnt, "new") or {})["variants"] == [
        {"name": "a", "weight": 0.1},
        {"name": "b", "weight": 0.9},
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"surface": "holdout"}, "takes no bandit"),
        ({"trigger_share": 0.5}, "only the answers of a split"),
        ({"design": {"kind": "bandit", "floor": 0.5}, "variants": [{"name": n} for n in "abc"]}, "all units"),
        ({"design": {"kind": "bandit", "period_minutes": 5}}, "greater than or equal to 15"),
        ({"metrics": [{"name": "r", "event": "purchase", "per": {"event": "click"}}]}, "takes no per"),
    ],
)
def test_a_definition_says_what_a_bandit_cannot_do(fields: dict[str, Any], message: str) -> None:
    usual = {"name": "band", "surface": "recommendations", "variants": [{"name": "a"}, {"name": "b"}]}
    with pytest.raises(ValidationError, match=message):
        Definition.model_validate(usual | {"design": DESIGN} | fields)


def test_a_bandit_finds_a_known_lift_and_shows_it_to_most() -> None:
    """Twelve periods of 2,000 people; the base rate doubles in every other one."""
    rates, people = (0.05, 0.065), 2_000
    rng = np.random.default_rng(11)
    version, periods, treated = a_version(), list[PeriodSums](), 0
    for number in range(12):
        weights = {variant.name: variant.weight for variant in version.variants}
        share = weights["b"] / sum(weights.values())
        n = rng.multinomial(people, [1 - share, share])
        y = [rng.binomial(count, rate * (1 + number % 2)) for count, rate in zip(n, rates, strict=True)]
        periods.append(a_period(number + 1, (1 - share, share), (n[0], y[0]), (n[1], y[1])))
        version = a_version(**period_of(version, next_weights(version, periods)))
        treated += int(n[1])
    result = bandit_result(version.model_copy(update={"started_at": NOW - timedelta(hours=2)}), periods)

    assert result.variants[1].best > 0.99
    assert treated > 0.6 * 12 * people
    assert result.next_at == NOW - timedelta(hours=1)
    lift = (result.variants[1].mean.value or 0) / (result.variants[0].mean.value or 1) - 1
    assert lift == pytest.approx(0.3, abs=0.15)


def test_the_sizes_of_all_periods_are_tested_each_against_its_weights() -> None:
    version = a_version(
        version=3, phase=3, variants=[{"name": "a", "weight": 0.1}, {"name": "b", "weight": 0.9}]
    )
    sums = MetricSums([3], NOW, {"a": People(95), "b": People(905)}, {})
    results = results_of(version, sums, pre_days=0, relative_effect=0.1, now=NOW)
    shares, counts = [(0.5, 0.5), (0.2, 0.8), (0.1, 0.9)], [(480, 520), (210, 790), (95, 905)]
    right, wrong = (
        [
            a_period(number, weights, (0, 0), (0, 0))._replace(
                exposed=dict(zip("ab", drawn, strict=True)), disabled=disabled
            )
            for number, (weights, drawn) in enumerate(zip(shares, each, strict=True), start=1)
        ]
        for each, disabled in ((counts, ()), ([(410, 590), (120, 880), (95, 905)], ()))
    )
    disabled = [each._replace(disabled=("b",)) for each in wrong]
    healths = [with_periods(version, results, periods).health for periods in (right, wrong, disabled)]

    assert [health.is_valid for health in healths] == [True, False, True]
    assert healths[0].sample_ratio_p is not None
    assert healths[0].sample_ratio_p > 0.2
    assert [len(health.problems) for health in healths] == [0, 1, 0]
    assert results.health.is_valid
