"""Choosing parts, decays and weights on users held out of the training data itself.

Nothing here is tuned to a data set: the grids are coarse and the same for every shop, and what was
chosen, with the gains that decided it, is kept in the model's notes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np

from services.engine.training.dataset.columns import count_numbers
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import EVEN, GRADED, TypeWeights, weights_of
from services.engine.training.fitting import Progress
from services.engine.training.methods.ease import DENSE_ITEMS
from services.engine.training.selection.blending import averaged_ensemble, softmax_temperature
from services.engine.training.selection.candidates import REPEAT_CONSUMPTION, CandidateMethod
from services.engine.training.selection.grid_search import (
    ComponentConfig,
    TrialResult,
    default_config,
    run_trials,
)
from services.engine.training.selection.holdout_evaluator import HoldoutEvaluator
from services.engine.training.selection.parallel import in_two_processes, one_by_one
from shared.models import Model

Result = TypeVar("Result")

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
        option: averaged_ensemble(evaluator, trials[option], exclude_seen=option) for option in options
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
    return EnsembleConfig(parts, weights, option, softmax_temperature(evaluator, scores), notes)


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
    alone = wide or any(fold.train.aggregates is not None for fold in evaluator.folds)
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
    counted = np.flatnonzero(count_numbers(dataset.event_types, len(dataset.event_type_names)))
    if len(np.unique(weights_of(GRADED, dataset.event_type_names)[counted])) < 2:
        return [dict(EVEN)]
    return [dict(EVEN), dict(GRADED)]


def _best(winners: Sequence[TrialResult]) -> TrialResult:
    return max(winners, key=lambda found: found.gains.mean())
