"""Error rates by simulation: 2,000 A/A experiments, looked at once and twenty times, and with an effect.

The bounds are three standard errors around the rate that the theory promises, for fixed seeds.
"""

from __future__ import annotations

import numpy as np
import pytest

from services.router import statistics
from services.router.statistics import Difference, SampleMoments

RUNS, LOOKS, UNITS_PER_LOOK = 2_000, 20, 500
RATE = 0.05


def samples(treatment_rate: float, seed: int) -> tuple[SampleMoments, SampleMoments]:
    """Return the conversion rates of treatment and control as [RUNS, LOOKS]; a look has all units so far."""
    rng = np.random.default_rng(seed)
    n = np.cumsum(np.full((RUNS, LOOKS), UNITS_PER_LOOK), axis=1)
    control, treatment = (
        statistics.proportion_moments(n, np.cumsum(rng.binomial(UNITS_PER_LOOK, rate, (RUNS, LOOKS)), axis=1))
        for rate in (RATE, treatment_rate)
    )
    return treatment, control


def looks(treatment_rate: float, seed: int) -> Difference:
    """Return the differences of these rates as [RUNS, LOOKS]."""
    return statistics.absolute_difference(*samples(treatment_rate, seed))


@pytest.fixture(scope="module")
def no_effect() -> Difference:
    return looks(RATE, seed=20)


def test_one_look_by_welch_errs_in_5_percent(no_effect: Difference) -> None:
    p = statistics.welch_p(no_effect)[:, -1]

    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.01)


def test_twenty_looks_by_welch_err_more_often_and_by_a_confidence_sequence_do_not(
    no_effect: Difference,
) -> None:
    peeked = np.any(statistics.welch_p(no_effect) < 0.05, axis=1)
    sequence = np.any(statistics.confidence_sequence(no_effect).excludes(0), axis=1)
    always_valid = np.any(statistics.always_valid_p(no_effect) < 0.05, axis=1)

    assert np.mean(peeked) > 0.15
    assert np.mean(sequence) <= 0.05
    assert np.array_equal(sequence, always_valid)


def test_a_confidence_sequence_finds_an_effect_that_is_there() -> None:
    effect = looks(RATE * 1.4, seed=21)

    assert np.mean(statistics.confidence_sequence(effect).excludes(0)[:, -1]) > 0.8
    covered = statistics.welch_interval(effect)
    true_difference = RATE * 0.4
    missed = covered.excludes(true_difference)[:, -1]
    assert np.mean(missed) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("factor", [1.0, 1.4])
def test_relative_and_absolute_sequences_agree_and_rarely_miss(factor: float) -> None:
    treatment, control = samples(RATE * factor, seed=22)
    absolute = statistics.confidence_sequence(statistics.absolute_difference(treatment, control))
    relative = statistics.relative_sequence(treatment, control)
    known = ~np.isnan(relative.low)

    assert np.mean(known) > 0.999
    assert np.array_equal(relative.excludes(0)[known], absolute.excludes(0)[known])
    assert np.mean(np.any(relative.excludes(factor - 1), axis=1)) <= 0.05


def test_the_chance_to_win_is_uniform_without_an_effect(no_effect: Difference) -> None:
    chances = statistics.chance_to_win(no_effect)[:, -1]
    shares, _ = np.histogram(chances, bins=10, range=(0, 1))

    assert shares / RUNS == pytest.approx(np.full(10, 0.1), abs=0.02)


def test_cuped_keeps_the_error_rate_and_narrows_the_interval() -> None:
    """Covariate and metric of 2 × 200 units correlate by 0.7, so half of the variance goes."""
    rng = np.random.default_rng(22)
    before = rng.normal(size=(RUNS, 2, 200))
    after = 0.7 * before + np.sqrt(1 - 0.49) * rng.normal(size=before.shape)
    products = (after, after**2, before, before**2, after * before)
    sums = statistics.SampleSums(np.full((RUNS, 2), 200.0), *(part.sum(axis=2) for part in products))
    adjusted, _ = statistics.cuped(sums)
    raw = statistics.mean_moments(sums.n, sums.y, sums.yy)
    differences = [
        statistics.absolute_difference(
            *(SampleMoments(*(part[:, arm] for part in moments)) for arm in (1, 0))
        )
        for moments in (adjusted, raw)
    ]

    assert np.mean(statistics.welch_p(differences[0]) < 0.05) == pytest.approx(0.05, abs=0.015)
    ratio = np.mean(differences[0].standard_error / differences[1].standard_error)
    assert ratio == pytest.approx(np.sqrt(1 - 0.49), abs=0.01)


def test_the_sample_ratio_tests_err_in_one_of_a_thousand() -> None:
    """The fixed test once; the sequential one at any of twenty looks."""
    rng = np.random.default_rng(23)
    counts = np.cumsum(rng.multinomial(1_000, [0.33, 0.33, 0.34], (20_000, 20)), axis=1)
    fixed = statistics.chi_squared_p(counts[:, -1], [33, 33, 34]) < 0.001
    sequential = np.any(statistics.sequential_multinomial_p(counts, [33, 33, 34]) < 0.001, axis=1)

    assert np.mean(fixed) == pytest.approx(0.001, abs=0.0007)
    assert np.mean(sequential) <= 0.001


def test_the_sequential_sample_ratio_test_finds_five_percent_of_lost_units() -> None:
    rng = np.random.default_rng(24)
    counts = np.cumsum(rng.multinomial(1_000, [0.5 / 0.975, 0.475 / 0.975], (500, 50)), axis=1)
    p = statistics.sequential_multinomial_p(counts, [1, 1])

    assert np.mean(np.any(p < 0.001, axis=1)) > 0.9


def test_the_planned_units_have_the_planned_power() -> None:
    units = int(statistics.required_units(RATE, RATE * (1 - RATE), 0.2) / 2)
    rng = np.random.default_rng(25)
    control, treatment = (
        statistics.proportion_moments(np.full(RUNS, units), rng.binomial(units, rate, RUNS))
        for rate in (RATE, RATE * 1.2)
    )
    p = statistics.welch_p(statistics.absolute_difference(treatment, control))

    # The variance of the larger rate is higher than that of the plan, so the power is a little less.
    assert np.mean(p < 0.05) == pytest.approx(0.79, abs=0.03)


PERIODS = 48


def bandit_counts(shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return the people and the weights of bandits, [RUNS, PERIODS, 3] each; b gets `shift` too many."""
    rng = np.random.default_rng(23)
    weights = 0.02 + 0.94 * rng.dirichlet((1, 1, 1), (RUNS, PERIODS))
    drawn = weights * (1 + shift * np.array([0, 1, 0]))
    people = rng.integers(5, 400, (RUNS, PERIODS))
    return rng.multinomial(people, drawn / drawn.sum(axis=-1, keepdims=True)), weights


def test_sizes_of_a_bandit_are_tested_against_the_weights_of_each_period() -> None:
    counts, weights = bandit_counts()
    looks = np.stack(
        [statistics.periods_multinomial_p(counts[:, :n], weights[:, :n]) for n in range(1, PERIODS + 1)]
    )
    apart = statistics.sequential_multinomial_p(counts, weights)
    pooled = statistics.sequential_multinomial_p(counts.sum(axis=1), weights[:, -1])
    one_look = np.array(
        [statistics.periods_chi_squared_p(*each) for each in zip(counts, weights, strict=True)]
    )

    # Any of 48 looks at the test of all periods; the periods apart raise an alarm more often.
    alarms = np.mean(looks.min(axis=0) < 0.001)
    assert alarms <= 0.001
    assert np.mean(apart.min(axis=1) < 0.001) > alarms
    # The weights of one period say nothing about the people of all.
    assert np.mean(pooled < 0.001) > 0.9
    assert np.mean(one_look < 0.05) == pytest.approx(0.05, abs=0.015)
    assert np.mean(one_look < 0.001) <= 0.003


def test_a_bandit_that_draws_by_other_weights_is_found() -> None:
    counts, weights = bandit_counts(shift=0.2)

    found = statistics.periods_multinomial_p(counts, weights) < 0.001

    assert np.mean(found) > 0.9
    assert statistics.periods_chi_squared_p(counts[0], weights[0]) < 0.001


def test_a_variant_without_a_weight_is_not_tested() -> None:
    weights = [[0.5, 0.0, 0.5], [0.3, 0.3, 0.4]]
    for test in (statistics.periods_multinomial_p, statistics.periods_chi_squared_p):
        few, many = ([[500, strays, 400], [30, 30, 35]] for strays in (0, 1_000))
        assert float(test(many, weights)) == float(test(few, weights)) < 0.05
    of_one = statistics.chi_squared_p([50, 40], [1, 1])
    assert statistics.periods_chi_squared_p([[50, 40]], [[1, 1]]) == pytest.approx(float(of_one))
    assert np.isnan(statistics.periods_chi_squared_p([[0, 0]], [[1, 1]]))
