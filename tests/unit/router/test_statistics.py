"""Statistics: each number is that of GrowthBook's gbstats 0.8.0, of scipy, or of the paper's identity."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from services.router import statistics
from services.router.statistics import SampleMoments, SampleSums

SMALL = statistics.proportion_moments([10_000, 10_000], [421, 468])
LARGE = statistics.proportion_moments([100_000, 100_000], [4_210, 4_680])
COVARIATE = SampleSums(
    *(
        np.array(pair, dtype=float)
        for pair in ((1000, 1000), (500, 540), (1200, 1300), (480, 490), (1100, 1120), (900, 930))
    )
)


def pair(moments: SampleMoments) -> tuple[SampleMoments, SampleMoments]:
    control, treatment = (SampleMoments(*(part[index] for part in moments)) for index in (0, 1))
    return treatment, control


@pytest.mark.parametrize(
    ("moments", "difference", "estimate", "interval", "p"),
    [
        (SMALL, "absolute", 0.0047, (-0.001012468, 0.010412468), 0.1068296),
        (SMALL, "relative", 0.1116390, (-0.0314414, 0.2547193), 0.1261907),
        (LARGE, "absolute", 0.0047, (0.0028937, 0.0065063), 3.404e-7),
    ],
)
def test_welch_equals_gbstats(
    moments: SampleMoments, difference: str, estimate: float, interval: tuple[float, float], p: float
) -> None:
    compare = {"absolute": statistics.absolute_difference, "relative": statistics.relative_difference}
    result = compare[difference](*pair(moments))

    assert result.estimate == pytest.approx(estimate, rel=1e-6)
    assert tuple(statistics.welch_interval(result)) == pytest.approx(interval, abs=6e-8)
    assert statistics.welch_p(result) == pytest.approx(p, rel=1e-4)


@pytest.mark.parametrize(
    ("moments", "interval", "p"),
    [(SMALL, (-0.0044137, 0.0138137), 1.0), (LARGE, (0.0015352, 0.0078648), 4.186e-5)],
)
def test_confidence_sequences_equal_gbstats(
    moments: SampleMoments, interval: tuple[float, float], p: float
) -> None:
    result = statistics.absolute_difference(*pair(moments))

    assert tuple(statistics.confidence_sequence(result)) == pytest.approx(interval, rel=1e-4)
    assert statistics.always_valid_p(result) == pytest.approx(p, rel=1e-4)


def test_a_relative_change_of_a_mean_that_may_be_0_has_no_interval() -> None:
    control, treatment = (statistics.proportion_moments([1_000], [successes]) for successes in (3, 200))
    none = statistics.relative_sequence(control, control)
    turned = statistics.relative_sequence(control, treatment)

    assert np.isnan(none).all()
    assert turned.low < turned.high < -0.9


def test_the_chance_to_win_equals_gbstats() -> None:
    result = statistics.relative_difference(*pair(SMALL))

    assert statistics.chance_to_win(result) == pytest.approx(0.9369126, abs=1e-7)
    assert statistics.chance_to_win(result, prior_deviation=1e-6) == pytest.approx(0.5, abs=1e-3)


def test_cuped_equals_gbstats() -> None:
    adjusted, slope = statistics.cuped(COVARIATE)
    result = statistics.absolute_difference(*pair(adjusted))
    raw = statistics.absolute_difference(
        *pair(statistics.mean_moments(COVARIATE.n, COVARIATE.y, COVARIATE.yy))
    )
    raw_interval = statistics.welch_interval(raw)

    assert slope == pytest.approx(0.7576805, rel=1e-6)
    assert result.estimate == pytest.approx(0.0324232, rel=1e-5)
    assert tuple(statistics.welch_interval(result)) == pytest.approx((-0.0281904, 0.0930368), rel=1e-5)
    assert statistics.welch_p(result) == pytest.approx(0.2942808, rel=1e-5)
    assert raw.estimate == pytest.approx(0.04)
    assert raw_interval.high - raw.estimate == pytest.approx(0.0868319, rel=1e-5)


def test_cuped_keeps_the_mean_over_all_units_and_changes_nothing_for_a_constant_covariate() -> None:
    adjusted, _ = statistics.cuped(COVARIATE)
    constant = COVARIATE._replace(x=COVARIATE.n, xx=COVARIATE.n, xy=COVARIATE.y)
    same, slope = statistics.cuped(constant)

    assert np.mean(adjusted.mean) == pytest.approx(0.52)
    assert slope == 0
    assert same.mean == pytest.approx([0.5, 0.54])


@pytest.mark.parametrize(
    ("counts", "p"),
    [([9120, 6400], 1.1158275464490397e-105), ([10250, 9750], 4.0695e-4), ([50120, 49880], 0.44788)],
)
def test_the_test_of_the_sample_ratio_equals_gbstats(counts: list[int], p: float) -> None:
    assert statistics.chi_squared_p(counts, [1, 1]) == pytest.approx(p, rel=1e-4)


@pytest.mark.parametrize("counts", [[400, 300, 300], [260, 240, 250, 250], [205, 195, 200, 190, 210]])
def test_the_sample_ratio_of_several_variants_equals_scipy(counts: list[int]) -> None:
    p = statistics.chi_squared_p(counts, np.ones(len(counts)))

    assert p == pytest.approx(stats.chisquare(counts).pvalue, rel=1e-9)


def test_the_sequential_test_of_the_sample_ratio_detects_what_the_fixed_one_does() -> None:
    p = statistics.sequential_multinomial_p([[9120, 6400], [50120, 49880], [0, 0]], [1, 1])

    assert p[0] < 1e-90
    assert p[1:] == pytest.approx([1, 1])


def test_welch_equals_scipy_on_the_units_themselves() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.gamma(2, 3, 80), rng.gamma(2, 4, 130)
    moments = [
        statistics.mean_moments(sample.size, sample.sum(), (sample**2).sum()) for sample in (first, second)
    ]
    result = statistics.absolute_difference(moments[1], moments[0])
    oracle = stats.ttest_ind(second, first, equal_var=False)
    interval = oracle.confidence_interval(0.95)

    assert statistics.welch_p(result) == pytest.approx(oracle.pvalue, rel=1e-9)
    assert tuple(statistics.welch_interval(result)) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_the_delta_method_has_the_variance_of_a_simulated_ratio() -> None:
    """2,000 samples of 400 users, whose sessions and clicks depend on each other."""
    rng = np.random.default_rng(2)
    sessions = rng.poisson(3, (2_000, 400)) + 1.0
    clicks = rng.binomial(sessions.astype(int), rng.beta(2, 8, (2_000, 400))).astype(float)
    sums = SampleSums(
        np.full(2_000, 400.0),
        *(values.sum(axis=1) for values in (clicks, clicks**2, sessions, sessions**2, clicks * sessions)),
    )
    ratio = statistics.ratio_moments(sums)

    assert ratio.mean == pytest.approx(clicks.sum(axis=1) / sessions.sum(axis=1))
    assert np.mean(ratio.squared_error) == pytest.approx(np.var(ratio.mean), rel=0.1)


def test_values_above_the_quantile_are_cut_for_all_variants_alike() -> None:
    cut_values, cut = statistics.winsorized([0, 0, 10, 20, 30, 40, 5_000], 0.75)

    assert cut == 40
    assert cut_values.tolist() == [0, 0, 10, 20, 30, 40, 40]
    assert statistics.winsorized([0, 0], 0.99)[1] == np.inf


def test_benjamini_hochberg_equals_scipy_and_leaves_missing_tests_out() -> None:
    p = np.random.default_rng(3).uniform(size=(5, 8)) ** 2
    with_gap = np.insert(p, 3, np.nan, axis=1)
    adjusted = statistics.benjamini_hochberg(with_gap)

    assert np.delete(adjusted, 3, axis=1) == pytest.approx(stats.false_discovery_control(p, axis=1))
    assert np.isnan(adjusted[:, 3]).all()


def test_the_required_units_show_the_effect_with_the_power() -> None:
    """From 4 % to 4.4 %: 39,488 units, and 19,743.9 per variant by the formula on paper."""
    share = 0.04
    units = statistics.required_units(share, share * (1 - share), 0.1)
    effect = statistics.minimum_detectable_effect(share, share * (1 - share), (units / 2, units / 2))

    assert units == pytest.approx(4 * (1.959964 + 0.841621) ** 2 * share * 0.96 / 0.004**2, rel=1e-6)
    assert effect == pytest.approx(0.1)
    assert statistics.required_units(share, 0.0384, 0.1, (0.8, 0.2)) / units == pytest.approx(1.5625)
    assert statistics.days_left(units, units / 4, 7) == pytest.approx(21)
    assert statistics.days_left(units, units * 2, 7) == 0
    assert np.isnan(statistics.days_left(units, 0, 7))


@pytest.mark.parametrize(
    ("low", "high", "better", "state"),
    [
        (-0.01, 0.05, "higher", "safe"),
        (-0.05, 0.05, "higher", "undecided"),
        (-0.09, -0.03, "higher", "harmed"),
        (0.03, 0.09, "lower", "harmed"),
        (-0.03, 0.01, "lower", "safe"),
        (np.nan, np.nan, "higher", "undecided"),
    ],
)
def test_a_guardrail_compares_the_interval_with_the_margin(
    low: float, high: float, better: str, state: str
) -> None:
    interval = statistics.Interval(np.array(low), np.array(high))

    assert statistics.guardrail_state(interval, 0.02, higher_is_better=better == "higher") == state


def test_a_sample_that_shows_nothing_has_no_interval() -> None:
    """Nobody, one unit, no variance, a mean of 0: NaN and no warning, which would fail this test."""
    control = statistics.mean_moments([0, 1, 5, 5], [0, 2, 5, 0], [0, 4, 5, 0])
    treatment = statistics.mean_moments([0, 1, 5, 5], [0, 3, 5, 0], [0, 9, 5, 0])
    for compare in (statistics.absolute_difference, statistics.relative_difference):
        difference = compare(treatment, control)

        assert np.isnan(statistics.welch_p(difference)).all()
        assert np.isnan(statistics.confidence_sequence(difference).low).all()
        assert np.isnan(statistics.chance_to_win(difference)).all()
        assert not statistics.welch_interval(difference).excludes(0).any()
