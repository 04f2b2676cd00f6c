"""Off-policy estimates of a placement's definition from logged answers. Importing it loads numpy and scipy.

An answer earns the number of its items with an event. Items count on their own: an item is worth the same in
another answer (the item-position model without positions; Li et al., Offline Evaluation of Ranking Policies
with Click Models, KDD 2018).

See docs/experiments.md.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from zlib import crc32

import numpy as np

from services.router import statistics
from services.router.domain.results import Estimate, OffPolicyResult

FOLDS: Final = 5
LEAST_SUPPORT: Final = 0.5
"""Share of the definition's items that some variant shows, below which nothing is estimated. Arbitrary."""
LEAST_EFFECTIVE: Final = 100
"""Effective answers below which nothing is estimated, because the intervals are asymptotic. Arbitrary."""
_Z: Final = 1.96


class LoggedAnswer(NamedTuple):
    """A logged answer: who got it, its items and their rewards, and the definition's items."""

    subject: str
    item_ids: Sequence[str]
    rewards: Mapping[str, float]
    target_ids: Sequence[str]
    propensities: Mapping[str, float]


def off_policy_result(
    placement: str, experiment: str, event: str, answers: Sequence[LoggedAnswer]
) -> OffPolicyResult:
    """Return the estimates with 95 % intervals, or a refusal if the logged answers say too little."""
    support = _support(answers)
    if not answers or not any(p < 1 for each in answers for p in each.propensities.values()):
        detail = (
            f"No logged answer of {experiment} was drawn at random, so they say nothing about another "
            "definition. Run an experiment with variants that answer differently on the placement first."
        )
        return _refused(placement, experiment, event, len(answers), support, 0.0, detail)
    weights = [
        {item: 1 / each.propensities[item] for item in each.item_ids if item in set(each.target_ids)}
        for each in answers
    ]
    size = float(np.mean([len(each.target_ids) for each in answers]))
    answer_weights = np.array([sum(each.values()) for each in weights]) / max(size, 1.0)
    total = answer_weights.sum()
    effective = float(total**2 / np.sum(answer_weights**2)) if total else 0.0
    if support < LEAST_SUPPORT or effective < LEAST_EFFECTIVE:
        detail = (
            f"The logged answers say too little: {support:.0%} of the definition's items were in an answer "
            f"of a variant, and {effective:.0f} effective answers remain; at least {LEAST_SUPPORT:.0%} and "
            f"{LEAST_EFFECTIVE} are needed. Run the experiment longer, or add a variant like the definition."
        )
        return _refused(placement, experiment, event, len(answers), support, effective, detail)
    earned = np.array(
        [
            sum(weight * each.rewards.get(item, 0.0) for item, weight in of_answer.items())
            for each, of_answer in zip(answers, weights, strict=True)
        ]
    )
    ones = np.ones(len(answers))
    normalised = np.divide(earned, answer_weights, out=np.zeros_like(earned), where=answer_weights > 0)
    taken, target = _predictions(answers, weights)
    return OffPolicyResult(
        placement=placement,
        experiment=experiment,
        event=event,
        answers=len(answers),
        effective_answers=effective,
        support=support,
        logged=_estimate(statistics.ips(np.array([sum(each.rewards.values()) for each in answers]), ones)),
        ips=_estimate(statistics.ips(earned, ones)),
        snips=_estimate(statistics.snips(normalised, answer_weights)),
        dr=_estimate(statistics.doubly_robust(earned, ones, taken, target)),
    )


def _refused(
    placement: str,
    experiment: str,
    event: str,
    answers: int,
    support: float,
    effective: float,
    refusal: str,
) -> OffPolicyResult:
    nothing = Estimate(value=None, low=None, high=None)
    return OffPolicyResult(
        placement=placement,
        experiment=experiment,
        event=event,
        answers=answers,
        effective_answers=effective,
        support=support,
        refusal=refusal,
        logged=nothing,
        ips=nothing,
        snips=nothing,
        dr=nothing,
    )


def _support(answers: Sequence[LoggedAnswer]) -> float:
    items = [(item, each) for each in answers for item in each.target_ids]
    return sum(item in each.propensities for item, each in items) / max(len(items), 1)


def _predictions(
    answers: Sequence[LoggedAnswer], weights: Sequence[Mapping[str, float]]
) -> tuple[statistics.Floats, statistics.Floats]:
    """Return predicted rewards, float64[N] each: Σ w q of the items that were shown, and Σ q of the target's.

    q is the mean reward of the item in the answers to the visitors of other folds, else that of all items.
    """
    shown: defaultdict[tuple[str, int], float] = defaultdict(float)
    gained: defaultdict[tuple[str, int], float] = defaultdict(float)
    folds = [crc32(each.subject.encode()) % FOLDS for each in answers]
    for each, fold in zip(answers, folds, strict=True):
        for item in each.item_ids:
            for key in ((item, fold), (item, -1), ("", fold), ("", -1)):
                shown[key] += 1
                gained[key] += each.rewards.get(item, 0.0)

    def q(item: str, fold: int) -> float:
        count = shown[item, -1] - shown[item, fold]
        if count:
            return (gained[item, -1] - gained[item, fold]) / count
        rest = shown["", -1] - shown["", fold]
        return (gained["", -1] - gained["", fold]) / rest if rest else 0.0

    taken = [
        sum(weight * q(item, fold) for item, weight in of_answer.items())
        for of_answer, fold in zip(weights, folds, strict=True)
    ]
    target = [
        sum(q(item, fold) for item in each.target_ids) for each, fold in zip(answers, folds, strict=True)
    ]
    return np.array(taken), np.array(target)


def _estimate(estimate: statistics.OffPolicyEstimate) -> Estimate:
    if not math.isfinite(estimate.standard_error):
        return Estimate(value=estimate.value if math.isfinite(estimate.value) else None, low=None, high=None)
    half = _Z * estimate.standard_error
    return Estimate(value=estimate.value, low=estimate.value - half, high=estimate.value + half)
