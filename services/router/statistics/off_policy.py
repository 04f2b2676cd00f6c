"""Off-policy estimates: what another policy would have earned, from answers logged with propensities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from services.router.statistics.moments import Floats, divide, floats


class OffPolicyEstimate(NamedTuple):
    """An estimated mean reward with its standard error, and the effective number of the n observations."""

    value: float
    standard_error: float
    effective_units: float
    n: int


def importance_weights(target: ArrayLike, logged: ArrayLike, largest: float = np.inf) -> Floats:
    """Return target / logged propensities, float64[N], cut at `largest`.

    A cut biases the estimate towards 0 and bounds its variance (Ionides, Truncated Importance Sampling,
    2008).
    Raise ValueError for a logged propensity of 0, which an action that was taken cannot have.
    """
    taken = floats(logged)
    if np.any(taken <= 0):
        message = "an action that was taken has a propensity above 0"
        raise ValueError(message)
    return np.minimum(floats(target) / taken, largest)


def ips(rewards: ArrayLike, weights: Floats) -> OffPolicyEstimate:
    """Return the inverse-propensity estimate from rewards[N] and importance weights, float64[N].

    V = mean(w r): unbiased if each action of the target had a propensity above 0 (Horvitz, Thompson, 1952;
    Bottou et al., Counterfactual Reasoning and Learning Systems, JMLR 2013).
    """
    return _estimate(weights * floats(rewards), weights)


def snips(rewards: ArrayLike, weights: Floats) -> OffPolicyEstimate:
    """Return the self-normalised estimate Σ w r / Σ w, with the standard error of the delta method.

    It is consistent, never outside the range of the rewards, and usually of less variance (Swaminathan,
    Joachims, The Self-Normalized Estimator for Counterfactual Learning, NeurIPS 2015). NaN for weights of 0.
    """
    reward = floats(rewards)
    total = float(np.sum(weights))
    value = float(divide(np.sum(weights * reward), total))
    error = float(divide(np.sqrt(np.sum((weights * (reward - value)) ** 2)), total))
    return OffPolicyEstimate(value, error, _effective(weights), reward.size)


def doubly_robust(
    rewards: ArrayLike, weights: Floats, predicted_taken: ArrayLike, predicted_target: ArrayLike
) -> OffPolicyEstimate:
    """Return the doubly robust estimate from rewards[N], weights[N] and two predictions of a reward model[N].

    V = mean(q(x, π) + w (r − q(x, a))): `predicted_taken` is the prediction for the logged action,
    `predicted_target` its expectation under the target. Unbiased if propensities or predictions are right
    (Dudík, Langford, Li, Doubly Robust Policy Evaluation and Learning, ICML 2011). The predictions must not
    be fitted on the same rewards; see `cross_fitted_means`.
    """
    correction = weights * (floats(rewards) - floats(predicted_taken))
    return _estimate(floats(predicted_target) + correction, weights)


def cross_fitted_means(rewards: ArrayLike, groups: ArrayLike, folds: ArrayLike) -> Floats:
    """Return for each observation the mean reward of its group in the other folds, float64[N].

    The simplest reward model: groups[N] and folds[N] are small integers, such as the number of an action and
    a hash of the user. A group that the other folds do not have gets their overall mean. Memory is O(groups ×
    folds).
    """
    reward, group, fold = floats(rewards), np.asarray(groups, np.int64), np.asarray(folds, np.int64)
    shape = int(group.max(initial=0)) + 1, int(fold.max(initial=0)) + 1
    cell = group * shape[1] + fold
    totals = np.bincount(cell, reward, shape[0] * shape[1]).reshape(shape)
    counts = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    rest = totals.sum(1, keepdims=True) - totals, counts.sum(1, keepdims=True) - counts
    overall = divide(rest[0].sum(0, keepdims=True), rest[1].sum(0, keepdims=True))
    means = divide(*rest)
    return floats(np.where(np.isnan(means), np.nan_to_num(overall), means)[group, fold])


def _estimate(terms: Floats, weights: Floats) -> OffPolicyEstimate:
    n = terms.size
    error = float(np.std(terms, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return OffPolicyEstimate(float(np.mean(terms)) if n else float("nan"), error, _effective(weights), n)


def _effective(weights: Floats) -> float:
    """Return (Σw)² / Σw², the number of observations without weights of the same precision (Kish 1965)."""
    return float(np.nan_to_num(divide(np.sum(weights) ** 2, np.sum(weights**2))))
