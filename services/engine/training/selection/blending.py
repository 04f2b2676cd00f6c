"""Blending components: added one by one in the share that helps most, on several draws of held-out rows.

Rich Caruana and others, "Ensemble Selection from Libraries of Models", 2004: greedy forward selection, and
the mean of what bootstrap draws select.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from services.engine.training.selection.grid_search import ComponentConfig, TrialResult
from services.engine.training.selection.holdout_evaluator import Gains, HoldoutEvaluator, Scores

_SHARES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7)
"""Shares in which a component may be added: a coarse grid, the same for every shop."""
_TEMPERATURES = tuple(2.0**power for power in range(-4, 4))
_TEMPERATURE_ROWS = 200
_MOST_COMPONENTS = 5
"""Each component costs as much time again when the model serves."""


def averaged_ensemble(
    evaluator: HoldoutEvaluator, results: Sequence[Sequence[TrialResult]], *, exclude_seen: bool
) -> tuple[list[ComponentConfig], Scores, float]:
    """Return the components of the mean ensemble, its scores float32[rows, items] and its gain.

    Each draw of the evaluator's rows selects an ensemble; of their mean, the five components with the largest
    shares are kept. `results` has, for each method, the configurations that won a draw. The gain is the mean
    of the draws' own.
    """
    weights: dict[ComponentConfig, float] = defaultdict(float)
    gains = []
    for number, draw in enumerate(evaluator.draws):
        winners = [next(result for result in method if number in result.won) for method in results]
        components, gain = _blended(evaluator, winners, draw, exclude_seen=exclude_seen)
        gains.append(gain)
        for component in components:
            weights[replace(component, weight=1.0)] += component.weight / len(evaluator.draws)
    scores = {result.config: result.scores for method in results for result in method}
    shares = {component: weight * _spread(scores[component]) for component, weight in weights.items()}
    largest = sorted(shares, key=lambda component: -shares[component])[:_MOST_COMPONENTS]
    ensemble = sum(
        (np.float32(weights[component]) * scores[component] for component in largest), np.float32(0)
    )
    selected = [replace(component, weight=weights[component]) for component in largest]
    return selected, np.asarray(ensemble, np.float32), float(np.mean(gains))


def softmax_temperature(evaluator: HoldoutEvaluator, scores: Scores) -> float:
    """Return the temperature under which a softmax of the scores makes the relevant items most likely.

    `scores` is float32[rows, items]; the first 200 rows decide, between eight powers of two.
    """
    spread = _spread(scores)

    def likelihood(temperature: float) -> float:
        logs = []
        rows = slice(0, _TEMPERATURE_ROWS)
        for row, relevant in zip(scores[rows], evaluator.relevant[rows], strict=True):
            logits = row.astype(np.float64) / (temperature * spread)
            logits -= logits.max()
            logs.append(logits[relevant] - np.log(np.exp(logits).sum()))
        return float(np.concatenate(logs).mean())

    return max(_TEMPERATURES, key=likelihood) * spread


def _blended(
    evaluator: HoldoutEvaluator, results: Sequence[TrialResult], draw: Gains, *, exclude_seen: bool
) -> tuple[list[ComponentConfig], float]:
    """Start with the best component; add the one that helps most, in its best share, until none does."""
    first = max(results, key=lambda result: float(draw @ result.gains))
    left = [result for result in results if result is not first]
    spread = _spread(first.scores)
    components, gain = [replace(first.config, weight=1 / spread)], float(draw @ first.gains)
    ensemble = first.scores / np.float32(spread)
    while left:
        added = [_best_share(evaluator, ensemble, result, draw, exclude_seen=exclude_seen) for result in left]
        best = max(range(len(left)), key=lambda number: added[number][0])
        before = gain
        gain, share = added[best]
        if gain <= before:
            gain = before
            break
        spread = _spread(left[best].scores)
        ensemble = (1 - share) * ensemble + (share / spread) * left[best].scores
        components = [replace(component, weight=component.weight * (1 - share)) for component in components]
        components.append(replace(left[best].config, weight=share / spread))
        left = [result for number, result in enumerate(left) if number != best and added[number][0] > before]
    return components, gain


def _best_share(
    evaluator: HoldoutEvaluator, ensemble: Scores, result: TrialResult, draw: Gains, *, exclude_seen: bool
) -> tuple[float, float]:
    """Return the gain of the ensemble with one component more, and the share in which it is reached."""
    spread = _spread(result.scores)

    def gain(share: float) -> float:
        blended = (1 - share) * ensemble + (share / spread) * result.scores
        return float(draw @ evaluator.gains(blended, exclude_seen=exclude_seen))

    return max((gain(share), share) for share in _SHARES)


def _spread(scores: Scores) -> float:
    """Return the scale of a component's scores, so that a share means the same for all components."""
    return float(scores.std()) or 1.0
