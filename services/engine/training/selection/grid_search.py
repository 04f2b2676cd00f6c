"""Grid search of one method on held-out users: the unit and decay of its events, and its variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from services.engine.training.dataset.event_weights import TypeWeights
from services.engine.training.selection.candidates import CandidateMethod
from services.engine.training.selection.holdout_evaluator import Gains, HoldoutEvaluator, Scores
from shared.models import Table
from shared.models.neighbours import Unit

_DECAYS = (0.4, 0.6, 0.8, 0.9, 0.95, 0.98, 1.0)
_UNITS: tuple[Unit, ...] = ("event", "second", "day")
_MANY_ROWS = 1_500
"""From so many held-out rows on, a third of them compares the configurations of a method."""


@dataclass(frozen=True)
class ComponentConfig:
    """The configuration of a component: a method, its variant, the decay of its events, and its weight."""

    name: str
    variant: str
    decay: float
    unit: Unit
    weight: float = 1.0


@dataclass(frozen=True)
class TrialResult:
    """The scores that a configuration reaches on the held-out rows.

    `scores` is float32[rows, items], `gains` float64[rows]. `won` are the numbers of the draws in which no
    other configuration of the method gains more.
    """

    config: ComponentConfig
    scores: Scores
    gains: Gains
    won: tuple[int, ...]


def default_config(candidate: CandidateMethod) -> ComponentConfig:
    """Return the configuration of a method that nothing was tried of: its first variant."""
    return ComponentConfig(candidate.name, next(iter(candidate.variants)), candidate.decay, candidate.unit)


def run_trials(
    evaluator: HoldoutEvaluator,
    candidate: CandidateMethod,
    weights: TypeWeights,
    exclude_seen_options: Sequence[bool],
) -> dict[bool, list[TrialResult]]:
    """Return the best configurations of a method in each draw, by the value of exclude_seen.

    One coordinate at a time: the unit, then the decay with the default variant, then the variant. Where
    several draws decide, there are few rows, and unit and decay are searched once more with the best variant.
    Of many rows a third compares the configurations, and all rows evaluate the best one.
    """
    start = default_config(candidate)
    is_large = len(evaluator.relevant) > _MANY_ROWS
    sample = evaluator.subsample(len(evaluator.relevant) // 3) if is_large else evaluator
    trials = _Trials(sample, weights, {option: [] for option in exclude_seen_options})
    trials.tables[start.variant] = evaluator.tables(candidate.variants[start.variant], weights)
    trials.search_decay(start)
    decays = {(config.unit, config.decay) for config in trials.best_configs()}
    for variant, build in list(candidate.variants.items())[1:]:
        trials.tables[variant] = evaluator.tables(build, weights)
        for unit, decay in sorted(decays):
            trials.run(ComponentConfig(candidate.name, variant, decay, unit))
    if len(evaluator.draws) > 1:
        for config in trials.best_configs():
            if config.variant != start.variant:
                trials.search_decay(config)
    if sample is evaluator:
        return {option: _winners(trials, ran) for option, ran in trials.ran.items()}
    return _on_all_rows(replace(trials, evaluator=evaluator, leading={}))


@dataclass(frozen=True)
class _Trial:
    """A configuration and its gain on each held-out row, float64[rows]."""

    config: ComponentConfig
    gains: Gains


def _best(trials: Sequence[_Trial]) -> _Trial:
    return max(trials, key=lambda trial: trial.gains.mean())


def _winners(trials: _Trials, ran: Sequence[_Trial]) -> list[TrialResult]:
    """Return the best trial of each draw, each trial once."""
    best = _best_by_draw(trials.evaluator, ran)
    return [
        TrialResult(ran[number].config, trials.leading[ran[number].config], ran[number].gains, won)
        for number in dict.fromkeys(best.tolist())
        for won in [tuple(np.flatnonzero(best == number).tolist())]
    ]


def _best_by_draw(evaluator: HoldoutEvaluator, ran: Sequence[_Trial]) -> NDArray[np.int64]:
    """Return the number of the best trial in each draw: int64[draws]."""
    gains = np.array([trial.gains for trial in ran])
    best: NDArray[np.int64] = np.argmax(evaluator.draws @ gains.T, axis=1)
    return best


def _on_all_rows(trials: _Trials) -> dict[bool, list[TrialResult]]:
    """Return the result of the best configuration on all rows, which are one draw."""
    scores: dict[ComponentConfig, Scores] = {}
    results = {}
    for option, ran in trials.ran.items():
        config = _best(ran).config
        if config not in scores:
            scores[config] = trials.scores(config)
        gains = trials.evaluator.gains(scores[config], exclude_seen=option)
        results[option] = [TrialResult(config, scores[config], gains, (0,))]
    return results


@dataclass(frozen=True)
class _Trials:
    """The trials of one method that were run, by the value of exclude_seen; its tables by variant.

    `leading` holds the scores of the configurations that are the best of a draw so far.
    """

    evaluator: HoldoutEvaluator
    weights: TypeWeights
    ran: Mapping[bool, list[_Trial]]
    tables: dict[str, Sequence[Table]] = field(default_factory=dict)
    leading: dict[ComponentConfig, Scores] = field(default_factory=dict)

    def run(self, config: ComponentConfig) -> None:
        """Evaluate a configuration, unless that was done."""
        if any(config == trial.config for trials in self.ran.values() for trial in trials):
            return
        scores = self.scores(config)
        for option, trials in self.ran.items():
            trials.append(_Trial(config, self.evaluator.gains(scores, exclude_seen=option)))
        self.leading[config] = scores
        best = {
            trials[number].config
            for trials in self.ran.values()
            for number in _best_by_draw(self.evaluator, trials).tolist()
        }
        for behind in self.leading.keys() - best:
            del self.leading[behind]

    def scores(self, config: ComponentConfig) -> Scores:
        """Return the scores of a configuration: float32[rows, items]."""
        return self.evaluator.scores(self.tables[config.variant], self.weights, config.decay, config.unit)

    def best_configs(self) -> list[ComponentConfig]:
        """Return the best configuration for each value of exclude_seen, each configuration once."""
        return list(dict.fromkeys(_best(trials).config for trials in self.ran.values()))

    def search_decay(self, config: ComponentConfig) -> None:
        """Try the units, and with the best of them the decays on both sides of the configuration's own."""
        for unit in _distinct_units(self.evaluator, self.weights):
            self.run(replace(config, unit=unit))
        for unit in sorted({best.unit for best in self.best_configs()}):
            place = _DECAYS.index(config.decay)
            for decays in (_DECAYS[place + 1 :], _DECAYS[:place][::-1]):
                self._climb([replace(config, unit=unit, decay=decay) for decay in decays])

    def _climb(self, configs: Sequence[ComponentConfig]) -> None:
        """Try configurations in their order until one improves nothing."""
        for config in configs:
            before = self.best_configs()
            self.run(config)
            if self.best_configs() == before:
                break


def _distinct_units(evaluator: HoldoutEvaluator, weights: TypeWeights) -> list[Unit]:
    """Return units that differ here: without two events in one second, events and seconds are the same."""
    units: dict[bytes, Unit] = {}
    events = evaluator.folds[0].events(weights)
    for unit in _UNITS:
        units.setdefault(events.ages(unit).tobytes(), unit)
    return list(units.values())
