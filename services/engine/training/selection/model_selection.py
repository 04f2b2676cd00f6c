"""Selects the components, decays and weights of an ensemble on users held out of the training data itself.

Nothing here is tuned to a data set: the grids are coarse and the same for every shop. What was selected, with
the gains that decided it, is kept in the model's notes.
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
"""Held-out rows times items up to which both values of exclude_seen are tried: each takes as much memory."""
_LEAST_DEFAULT_GAIN = 1 / 4
_LEAST_BEST_GAIN = 1 / 2
_TEMPERATURE_WITHOUT_HOLDOUT = 0.1


@dataclass(frozen=True)
class EnsembleConfig:
    """The configuration that an ensemble is fitted with; `notes` hold the gains that decided it."""

    components: Sequence[ComponentConfig]
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
    """Try the candidates on the evaluator's rows and return the ensemble that gains most.

    `configured` type weights and `exclude_seen` are tried too where they are None. Without an evaluator the
    defaults stand, in equal shares.
    """
    if evaluator is None:
        return _default_ensemble(candidates, configured or dict(EVEN), exclude_seen=exclude_seen is True)
    repeats = float((evaluator.relevant & evaluator.excluded).sum() / evaluator.relevant.sum())
    options = [exclude_seen] if exclude_seen is not None else _exclude_seen_options(evaluator, repeats)
    weights, options = _settled_by_defaults(evaluator, dataset, candidates, configured, options)
    results = _results(evaluator, candidates, weights, options, progress)
    ensembles = {
        option: averaged_ensemble(evaluator, results[option], exclude_seen=option)
        for option in _promising(results)
    }
    option = max(ensembles, key=lambda option: ensembles[option][2])
    components, scores, gain = ensembles[option]
    notes = {
        "held_out_users": len(evaluator.relevant),
        "repeats_among_sought": round(repeats, 4),
        "gain": round(gain, 4),
        "draws": len(evaluator.draws),
        "alone": _gains_alone(results),
        "parts": [asdict(component) for component in components],
        "exclude_seen": option,
        "type_weights": weights,
    }
    return EnsembleConfig(components, weights, option, softmax_temperature(evaluator, scores), notes)


def reused_config(model: Model, candidates: Mapping[str, CandidateMethod]) -> EnsembleConfig | None:
    """Return the configuration of an earlier model of the same recipe.

    Return None if a component is no candidate any more: a catalogue that grew may be too wide for it.
    """
    variants = [part["variant"] for part in model.notes["parts"]]
    components = [
        ComponentConfig(component.name, variant, component.decay, component.unit, component.weight)
        for component, variant in zip(model.components, variants, strict=True)
    ]
    for component in components:
        candidate = candidates.get(component.name)
        if candidate is None or component.variant not in candidate.variants:
            return None
    scoring = model.scoring
    weights = dict(zip(scoring.event_types, scoring.type_weights, strict=True))
    return EnsembleConfig(components, weights, scoring.exclude_seen, scoring.temperature, model.notes)


def _default_ensemble(
    candidates: Sequence[CandidateMethod], weights: TypeWeights, *, exclude_seen: bool
) -> EnsembleConfig:
    """Return the defaults in equal shares, for shops with too few users to hold any out."""
    components = [
        default_config(candidate)
        for candidate in candidates
        if not (exclude_seen and candidate.name == REPEAT_CONSUMPTION)
    ]
    notes = {
        "held_out_users": 0,
        "parts": [asdict(component) for component in components],
        "exclude_seen": exclude_seen,
        "type_weights": weights,
    }
    return EnsembleConfig(components, weights, exclude_seen, _TEMPERATURE_WITHOUT_HOLDOUT, notes)


def _exclude_seen_options(evaluator: HoldoutEvaluator, repeats: float) -> list[bool]:
    if not repeats:
        return [True]
    return [True, False] if evaluator.relevant.size <= _CELLS_OF_BOTH else [False]


def _settled_by_defaults(
    evaluator: HoldoutEvaluator,
    dataset: Dataset,
    candidates: Sequence[CandidateMethod],
    configured: TypeWeights | None,
    options: list[bool],
) -> tuple[TypeWeights, list[bool]]:
    """Return the type weights, and the values of exclude_seen that every candidate is tried with.

    Weights are even or graded, whichever gains more with the first candidate. A value of exclude_seen must
    gain a quarter of what the other one gains, with that candidate or with repeat consumption: where most
    relevant items are repeats, trying every candidate without them takes as long again and finds nothing.
    """
    first, weightings = candidates[0], [configured] if configured is not None else _weightings(dataset)
    if len(weightings) == len(options) == 1:
        return weightings[0], options
    tasks = [partial(_default_gains, evaluator, first, weights) for weights in weightings]
    all_gains = _in_two_processes(evaluator, tasks)
    best = max(range(len(weightings)), key=lambda number: all_gains[number][False])
    weights, gains = weightings[best], all_gains[best]
    if len(options) == 1:
        return weights, options
    is_repeat = first.name == REPEAT_CONSUMPTION
    second = next((method for method in candidates if (method.name == REPEAT_CONSUMPTION) != is_repeat), None)
    if second is not None:
        more = _default_gains(evaluator, second, weights)
        gains = {option: max(gains[option], more[option]) for option in options}
    least = max(gains.values()) * _LEAST_DEFAULT_GAIN
    return weights, [option for option in options if gains[option] >= least]


def _weightings(dataset: Dataset) -> list[TypeWeights]:
    """Return even and graded type weights; even ones alone where all events weigh the same in both."""
    present = np.flatnonzero(count_numbers(dataset.event_types, len(dataset.event_type_names)))
    if len(np.unique(weights_of(GRADED, dataset.event_type_names)[present])) < 2:
        return [dict(EVEN)]
    return [dict(EVEN), dict(GRADED)]


def _default_gains(
    evaluator: HoldoutEvaluator, candidate: CandidateMethod, weights: TypeWeights
) -> dict[bool, float]:
    """Return the gain of a candidate's default configuration by the value of exclude_seen."""
    config = default_config(candidate)
    tables = evaluator.tables(candidate.variants[config.variant], weights)
    scores = evaluator.scores(tables, weights, config.decay, config.unit)
    return {option: evaluator.gain(scores, exclude_seen=option) for option in (True, False)}


def _results(
    evaluator: HoldoutEvaluator,
    candidates: Sequence[CandidateMethod],
    weights: TypeWeights,
    options: Sequence[bool],
    progress: Progress,
) -> dict[bool, list[list[TrialResult]]]:
    """Return the best configurations of each candidate by the value of exclude_seen."""

    def begun(number: int) -> None:
        progress(f"try {candidates[number].name} on held-out users", number / len(candidates))

    tasks = [partial(run_trials, evaluator, candidate, weights, options) for candidate in candidates]
    results = _in_two_processes(evaluator, tasks, begun)
    return {option: [winners[option] for winners in results] for option in options}


def _in_two_processes(
    evaluator: HoldoutEvaluator,
    tasks: Sequence[Callable[[], Result]],
    begun: Callable[[int], None] = lambda _: None,
) -> list[Result]:
    """Return what each task returns, in their order.

    One process does all of them with a second compute backend, whose connection can't be shared, and for a
    wide catalogue, whose tables take hundreds of megabytes in each process.
    """
    is_wide = evaluator.relevant.shape[1] > DENSE_ITEMS
    is_distributed = any(fold.train.aggregates is not None for fold in evaluator.folds)
    return one_by_one(tasks, begun) if is_wide or is_distributed else in_two_processes(tasks, begun)


def _promising(results: Mapping[bool, Sequence[Sequence[TrialResult]]]) -> list[bool]:
    """Return the values of exclude_seen whose best component gains at least half of the best of all."""
    best = {
        option: max(result.gains.mean() for winners in methods for result in winners)
        for option, methods in results.items()
    }
    return [option for option, gain in best.items() if gain >= max(best.values()) * _LEAST_BEST_GAIN]


def _gains_alone(results: Mapping[bool, Sequence[Sequence[TrialResult]]]) -> dict[str, float]:
    """Return the mean gain of each method's best configuration, without any other component."""
    return {
        f"{winners[0].config.name}, seen items {'left out' if option else 'kept'}": round(
            max(float(result.gains.mean()) for result in winners), 4
        )
        for option, methods in results.items()
        for winners in methods
    }
