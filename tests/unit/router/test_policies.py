"""Bandit weights, off-policy estimates and preferences of interleaved variants, against simulations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from services.router import statistics


def test_the_probability_to_be_best_is_the_chance_to_win_of_two_variants() -> None:
    moments = statistics.proportion_moments([10_000, 10_000], [421, 468])
    p = statistics.best_probabilities(moments, np.random.default_rng(1), 200_000)
    fewer = statistics.best_probabilities(moments, np.random.default_rng(1), 200_000, higher_is_better=False)
    # Of the absolute difference: Φ(1.6127).
    assert p == pytest.approx([0.0534, 0.9466], abs=0.003)
    assert fewer == pytest.approx(p[::-1], abs=0.003)


def test_the_probabilities_are_equal_before_the_variants_have_enough_units() -> None:
    few = statistics.proportion_moments([99, 5_000], [1, 900])
    constant = statistics.proportion_moments([5_000, 5_000], [0, 900])

    for moments in (few, constant):
        assert statistics.best_probabilities(moments, np.random.default_rng(1)).tolist() == [0.5, 0.5]


def test_weights_have_a_floor_and_the_runner_up_gets_its_half() -> None:
    weights = statistics.bandit_weights(np.array([0.98, 0.015, 0.005]), 0.01)
    plain = statistics.bandit_weights(np.array([1.0, 0.0, 0.0]), 0.01, top_two=False)

    assert weights.sum() == pytest.approx(1)
    assert weights[0] == pytest.approx(0.5, abs=0.02)
    assert weights[1] / weights[2] == pytest.approx(3, abs=0.2)
    assert plain == pytest.approx([0.98, 0.01, 0.01])
    with pytest.raises(ValueError, match="a floor for 3 variants is between 0 and 0"):
        statistics.bandit_weights(np.array([1.0, 0.0, 0.0]), 0.5)


def test_a_bandit_gives_the_best_variant_most_of_the_traffic() -> None:
    """Thirty periods of 2,000 units; rates of 5, 5.5 and 7 %."""
    rng = np.random.default_rng(2)
    rates = np.array([0.05, 0.055, 0.07])
    units, successes, weights = np.zeros(3), np.zeros(3), np.full(3, 1 / 3)
    for _ in range(30):
        new = rng.multinomial(2_000, weights)
        units, successes = units + new, successes + rng.binomial(new, rates)
        moments = statistics.proportion_moments(units, successes)
        weights = statistics.bandit_weights(statistics.best_probabilities(moments, rng), 0.01, top_two=False)

    assert weights[2] > 0.95
    assert units[2] > 1.5 * units[0]


def log_of(seed: int, n: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return contexts, actions, propensities and rewards of a policy that prefers action 0."""
    rng = np.random.default_rng(seed)
    contexts = rng.integers(0, 2, n)
    propensities = np.array([0.6, 0.3, 0.1])
    actions = rng.choice(3, n, p=propensities)
    rewards = (rng.random(n) < mean_rewards(contexts, actions)).astype(float)
    return contexts, actions, propensities[actions], rewards


def mean_rewards(contexts: np.ndarray, actions: np.ndarray) -> np.ndarray:
    return np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])[contexts, actions]


def test_off_policy_estimates_find_the_value_of_another_policy() -> None:
    """The target takes action 2 in context 0 and action 0 in context 1: 0.3 in both."""
    contexts, actions, logged, rewards = log_of(3)
    target_actions = np.where(contexts == 0, 2, 0)
    weights = statistics.importance_weights(actions == target_actions, logged)
    folds = np.arange(rewards.size) % 5
    model = statistics.cross_fitted_means(rewards, contexts * 3 + actions, folds)
    estimates = [
        statistics.ips(rewards, weights),
        statistics.snips(rewards, weights),
        statistics.doubly_robust(rewards, weights, model, mean_rewards(contexts, target_actions)),
    ]

    for estimate in estimates:
        assert estimate.value == pytest.approx(0.3, abs=4 * estimate.standard_error)
        assert 0 < estimate.standard_error < 0.02
        assert estimate.n == rewards.size
    assert estimates[2].standard_error < estimates[0].standard_error
    assert estimates[0].effective_units < rewards.size / 3
    assert np.mean(rewards) < 0.25


def test_standard_errors_of_off_policy_estimates_cover_the_value() -> None:
    """300 logs of 2,000 answers: 95 % intervals contain 0.3 in 92 to 98 % of them."""
    covered = np.zeros(2)
    for seed in range(300):
        contexts, actions, logged, rewards = log_of(seed, 2_000)
        weights = statistics.importance_weights(actions == np.where(contexts == 0, 2, 0), logged)
        for index, estimate in enumerate(
            (statistics.ips(rewards, weights), statistics.snips(rewards, weights))
        ):
            covered[index] += abs(estimate.value - 0.3) < 1.96 * estimate.standard_error

    assert np.all(np.abs(covered / 300 - 0.95) < 0.035)


def test_weights_can_be_cut_and_need_propensities_above_0() -> None:
    assert statistics.importance_weights([1, 1], [0.5, 0.001], largest=10).tolist() == [2, 10]
    with pytest.raises(ValueError, match="propensity above 0"):
        statistics.importance_weights([1], [0])
    assert np.isnan(statistics.ips([], np.array([])).value)
    assert np.isnan(statistics.snips([1.0], np.array([0.0])).value)


def test_a_group_without_other_folds_gets_the_overall_mean() -> None:
    means = statistics.cross_fitted_means([1, 0, 1, 1], [0, 0, 0, 1], [0, 1, 1, 1])

    assert means.tolist() == [0.5, 1, 1, 1]


def test_the_sign_test_is_that_of_scipy() -> None:
    for wins, losses in ((30, 12), (5, 5), (0, 9), (120, 160)):
        oracle = binomtest(wins, wins + losses).pvalue
        assert statistics.sign_test_p(wins, losses) == pytest.approx(min(oracle, 1), rel=1e-9)
    assert statistics.sign_test_p(0, 0) == 1


def test_a_preference_counts_units_not_clicks() -> None:
    treatment, control = np.array([9, 2, 1, 0, 3]), np.array([0, 1, 1, 4, 2])
    result = statistics.preference(treatment, control, np.random.default_rng(1))

    assert (result.wins, result.losses, result.ties, result.share) == (3, 1, 1, 0.7)
    assert result.low < 0.7 < result.high
    assert np.isnan(statistics.preference([], [], np.random.default_rng(1)).share)
