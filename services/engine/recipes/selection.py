"""Choosing parts, decays and weights on users held out of the training data itself.

Nothing here is tuned to a data set: the grids are coarse and the same for every shop, and what was
chosen, with the gains that decided it, is kept in the model's notes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from services.engine.recipes.dataset import Dataset
from services.engine.recipes.holdout_evaluator import Gains, HoldoutEvaluator, Scores
from services.engine.recipes.ingredients import REPEAT_CONSUMPTION, CandidateMethod
from services.engine.recipes.parallel import in_two_processes, one_by_one
from services.engine.recipes.recipe import Progress
from services.engine.recipes.room import tally
from services.engine.recipes.trials import ComponentConfig, TrialResult, default_config, run_trials
from services.engine.recipes.weights import EVEN, GRADED, TypeWeights, numbered
from services.engine.training.methods.ease import DENSE_ITEMS
from shared.models import Model

Result = TypeVar("Result")

_SHARES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7)
_TEMPERATURES = tuple(2.0**power for power in range(-4, 4))
_WARMTH_ROWS = 200
_MOST_PARTS = 5
_CELLS_OF_BOTH = 20_000_000


@dataclass(frozen=True)
class EnsembleConfig:
    """Everything that fitting needs to know, with the reasons."""

    parts: Sequence[ComponentConfig]
    type_weights: TypeWeights
    exclude_seen: bool
    temperature: float
    notes: Mapping[str, Any] = field(default_factory=dict)


def select_ensemble(
    dataset: Dataset,
    evaluator: HoldoutEvaluator | None,
    candidates: Sequence[CandidateMethod],
    configured: TypeWeights | None,
    progress: Progress,
    *,
    exclude_seen: bool | None,
) -> EnsembleConfig:
    """Try the candidates on the evaluator's users, keep what helps; the defaults without an evaluator.

    `configured` type weights and `exclude_seen` are taken as given where they are not None. Where there
    are few, several draws of them choose, and their ensembles are averaged.
    """
    if evaluator is None:
        return _untried(candidates, configured or dict(EVEN), exclude_seen=exclude_seen is True)
    repeats = float((evaluator.relevant & evaluator.excluded).sum() / evaluator.relevant.sum())
    wanted = [exclude_seen] if exclude_seen is not None else _options(evaluator, repeats)
    weights, options = _before_trials(evaluator, dataset, candidates, configured, wanted)
    trials = _tried(evaluator, candidates, weights, options, progress)
    options = _promising(trials)
    ensembles = {
        option: _averaged_ensemble(evaluator, trials[option], exclude_seen=option) for option in options
    }
    option = max(options, key=lambda option: ensembles[option][2])
    parts, scores, gain = ensembles[option]
    notes = {
        "held_out_users": len(evaluator.relevant),
        "repeats_among_sought": round(repeats, 4),
        "gain": round(gain, 4),
        "draws": len(evaluator.draws),
        "alone": {
            f"{found.part.name}, seen items {'left out' if option else 'kept'}": round(
                float(found.gains.mean()), 4
            )
            for option, list_ in trials.items()
            for found in (_best(winners) for winners in list_)
        },
        "parts": _written(parts),
        "exclude_seen": option,
        "type_weights": weights,
    }
    return EnsembleConfig(parts, weights, option, _temperature(evaluator, scores), notes)


def _options(evaluator: HoldoutEvaluator, repeats: float) -> list[bool]:
    """Whether seen items may be left out: both are tried where the scores of both fit into memory."""
    if not repeats:
        return [True]
    return [True, False] if evaluator.relevant.size <= _CELLS_OF_BOTH else [False]


def _before_trials(
    evaluator: HoldoutEvaluator,
    dataset: Dataset,
    candidates: Sequence[CandidateMethod],
    configured: TypeWeights | None,
    options: list[bool],
) -> tuple[TypeWeights, list[bool]]:
    """Return the type weights and the values of exclude_seen that are tried with every part, by the defaults.

    Weights are even or graded, whichever finds more with the first candidate. A value of exclude_seen must
    gain a quarter of what the other one gains by that candidate or by the items that a user comes back to:
    where most of what is relevant was seen before, trying every part without it finds nothing.
    """
    first, weightings = candidates[0], [configured] if configured is not None else _type_weights(dataset)
    if len(weightings) == len(options) == 1:
        return weightings[0], options
    gains = _side_by_side(
        evaluator, [partial(_default_gains, evaluator, first, weights) for weights in weightings]
    )
    best = max(range(len(weightings)), key=lambda number: gains[number][False])
    weights, known = weightings[best], gains[best]
    if len(options) > 1:
        for other in [
            part
            for part in candidates
            if (part.name == REPEAT_CONSUMPTION) != (first.name == REPEAT_CONSUMPTION)
        ][:1]:
            more = _default_gains(evaluator, other, weights)
            known = {option: max(known[option], more[option]) for option in options}
        options = [option for option in options if known[option] >= max(known.values()) / 4]
    return weights, options


def _default_gains(
    evaluator: HoldoutEvaluator, candidate: CandidateMethod, weights: TypeWeights
) -> dict[bool, float]:
    """Return what a candidate gains before anything is tried, by the value of exclude_seen."""
    part = default_config(candidate)
    tables = evaluator.tables(candidate.variants[part.variant], weights)
    scores = evaluator.scores(tables, weights, part.decay, part.unit)
    return {option: evaluator.gain(scores, exclude_seen=option) for option in (True, False)}


def _side_by_side(
    evaluator: HoldoutEvaluator,
    tasks: Sequence[Callable[[], Result]],
    begun: Callable[[int], None] = lambda _: None,
) -> list[Result]:
    """Return what each task returns, by two processes.

    By one where a second compute backend adds up, since its connection can't be shared, and for a wide
    catalogue, whose tables take hundreds of megabytes in each process.
    """
    wide = evaluator.relevant.shape[1] > DENSE_ITEMS
    alone = wide or any(fold.train.elsewhere is not None for fold in evaluator.folds)
    return one_by_one(tasks, begun) if alone else in_two_processes(tasks, begun)


def _tried(
    evaluator: HoldoutEvaluator,
    candidates: Sequence[CandidateMethod],
    weights: TypeWeights,
    options: Sequence[bool],
    progress: Progress,
) -> dict[bool, list[list[TrialResult]]]:
    """Return what is best of each candidate, for each way of treating seen items."""

    def begun(number: int) -> None:
        progress(f"try {candidates[number].name} on held-out users", number / len(candidates))

    tasks = [partial(run_trials, evaluator, candidate, weights, options) for candidate in candidates]
    found = _side_by_side(evaluator, tasks, begun)
    return {option: [winners[option] for winners in found] for option in options}


def _promising(trials: Mapping[bool, Sequence[Sequence[TrialResult]]]) -> list[bool]:
    """Return the values of exclude_seen whose best part gains at least half of the best of all."""
    best = {
        option: max(found.gains.mean() for winners in tried for found in winners)
        for option, tried in trials.items()
    }
    return [option for option, gain in best.items() if gain >= max(best.values()) / 2]


def reused_config(model: Model, candidates: Mapping[str, CandidateMethod]) -> EnsembleConfig | None:
    """What was chosen for an earlier model of the same recipe; None when a part is no candidate any more.

    A catalogue that grew may be too wide for a part of the earlier model.
    """
    variants = [part["variant"] for part in model.notes["parts"]]
    parts = [
        ComponentConfig(part.name, variant, part.decay, part.unit, part.weight)
        for part, variant in zip(model.parts, variants, strict=True)
    ]
    if any(
        part.name not in candidates or part.variant not in candidates[part.name].variants for part in parts
    ):
        return None
    scoring = model.scoring
    weights = dict(zip(scoring.event_types, scoring.type_weights, strict=True))
    return EnsembleConfig(parts, weights, scoring.exclude_seen, scoring.temperature, model.notes)


def _untried(
    candidates: Sequence[CandidateMethod], weights: TypeWeights, *, exclude_seen: bool
) -> EnsembleConfig:
    """Too few users to hold any out: the defaults, in equal shares."""
    parts = [
        default_config(candidate)
        for candidate in candidates
        if not (exclude_seen and candidate.name == REPEAT_CONSUMPTION)
    ]
    notes = {
        "held_out_users": 0,
        "parts": _written(parts),
        "exclude_seen": exclude_seen,
        "type_weights": weights,
    }
    return EnsembleConfig(parts, weights, exclude_seen, 0.1, notes)


def _written(parts: Sequence[ComponentConfig]) -> list[dict[str, Any]]:
    return [asdict(part) for part in parts]


def _type_weights(dataset: Dataset) -> list[TypeWeights]:
    """Even and graded weights; even ones alone where it is all one."""
    counted = np.flatnonzero(tally(dataset.event_types, len(dataset.event_type_names)))
    if len(np.unique(numbered(GRADED, dataset.event_type_names)[counted])) < 2:
        return [dict(EVEN)]
    return [dict(EVEN), dict(GRADED)]


def _best(winners: Sequence[TrialResult]) -> TrialResult:
    return max(winners, key=lambda found: found.gains.mean())


def _averaged_ensemble(
    evaluator: HoldoutEvaluator, trials: Sequence[Sequence[TrialResult]], *, exclude_seen: bool
) -> tuple[list[ComponentConfig], Scores, float]:
    """The mean of the ensembles that each draw has chosen, cut down to its largest parts."""
    weights: dict[ComponentConfig, float] = defaultdict(float)
    gains = []
    for number, draw in enumerate(evaluator.draws):
        entered = [next(found for found in winners if number in found.won) for winners in trials]
        parts, gain = _blended(evaluator, entered, draw, exclude_seen=exclude_seen)
        gains.append(gain)
        for part in parts:
            weights[replace(part, weight=1.0)] += part.weight / len(evaluator.draws)
    scores = {found.part: found.scores for winners in trials for found in winners}
    shares = {part: weight * _spread(scores[part]) for part, weight in weights.items()}
    largest = sorted(shares, key=lambda part: -shares[part])[:_MOST_PARTS]
    ensemble = sum((np.float32(weights[part]) * scores[part] for part in largest), np.float32(0))
    chosen = [replace(part, weight=weights[part]) for part in largest]
    return chosen, np.asarray(ensemble, np.float32), float(np.mean(gains))


def _blended(
    evaluator: HoldoutEvaluator, tried: Sequence[TrialResult], draw: Gains, *, exclude_seen: bool
) -> tuple[list[ComponentConfig], float]:
    """Start with the best part; add the one that helps most, in its best share, until none does."""
    first = max(tried, key=lambda found: float(draw @ found.gains))
    rest = [found for found in tried if found is not first]
    spread = _spread(first.scores)
    parts, gain = [replace(first.part, weight=1 / spread)], float(draw @ first.gains)
    ensemble = first.scores / np.float32(spread)
    while rest:
        added = [_added(evaluator, ensemble, found, draw, exclude_seen=exclude_seen) for found in rest]
        best = max(range(len(rest)), key=lambda number: added[number][0])
        before = gain
        gain, share = added[best]
        if gain <= before:
            gain = before
            break
        spread = _spread(rest[best].scores)
        ensemble = (1 - share) * ensemble + (share / spread) * rest[best].scores
        parts = [replace(part, weight=part.weight * (1 - share)) for part in parts]
        parts.append(replace(rest[best].part, weight=share / spread))
        rest = [found for number, found in enumerate(rest) if number != best and added[number][0] > before]
    return parts, gain


def _added(
    evaluator: HoldoutEvaluator, ensemble: Scores, found: TrialResult, draw: Gains, *, exclude_seen: bool
) -> tuple[float, float]:
    """The gain of the ensemble with one part more, and the share in which it is reached."""
    spread = _spread(found.scores)
    return max(
        (
            float(
                draw
                @ evaluator.gains(
                    (1 - share) * ensemble + (share / spread) * found.scores, exclude_seen=exclude_seen
                )
            ),
            share,
        )
        for share in _SHARES
    )


def _spread(scores: Scores) -> float:
    """The scale of a part's scores, so that shares mean the same for all parts."""
    return float(scores.std()) or 1.0


def _temperature(evaluator: HoldoutEvaluator, scores: Scores) -> float:
    """The softmax temperature under which what was to be found is most likely."""
    spread = _spread(scores)

    def likelihood(temperature: float) -> float:
        found = []
        for row, relevant in zip(scores[:_WARMTH_ROWS], evaluator.relevant[:_WARMTH_ROWS], strict=True):
            logits = row.astype(np.float64) / (temperature * spread)
            logits -= logits.max()
            found.append(logits[relevant] - np.log(np.exp(logits).sum()))
        return float(np.concatenate(found).mean())

    return max(_TEMPERATURES, key=likelihood) * spread
