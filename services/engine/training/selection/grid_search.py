"""Trying one candidate on held-out users: its unit, its decay and its variant."""

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
_MANY_ROWS = 1_500
_UNITS: tuple[Unit, ...] = ("event", "second", "day")


@dataclass(frozen=True)
class ComponentConfig:
    """One candidate as it was settled."""

    name: str
    variant: str
    decay: float
    unit: Unit
    weight: float = 1.0


@dataclass(frozen=True)
class TrialResult:
    """A part with its scores on the held-out rows, what each row gains, and the draws that it won."""

    part: ComponentConfig
    scores: Scores
    gains: Gains
    won: tuple[int, ...]


def default_config(candidate: CandidateMethod) -> ComponentConfig:
    """A candidate before anything is tried: its first variant."""
    return ComponentConfig(candidate.name, next(iter(candidate.variants)), candidate.decay, candidate.unit)


def run_trials(
    evaluator: HoldoutEvaluator,
    candidate: CandidateMethod,
    weights: TypeWeights,
    options: Sequence[bool],
) -> dict[bool, list[TrialResult]]:
    """The candidate's best unit, decay and variant in each draw, for each way of treating seen items.

    One thing at a time: the unit and then the decay with the default variant, then the variant. With few
    rows, where a try is quick, unit and decay are relevant again with the best variant. With many rows, a
    third of them is asked, and all of them about the best alone.
    """
    start = default_config(candidate)
    quick = (
        evaluator.some(len(evaluator.relevant) // 3) if len(evaluator.relevant) > _MANY_ROWS else evaluator
    )
    trials = _Trials(quick, weights, {option: [] for option in options})
    trials.tables[start.variant] = evaluator.tables(candidate.variants[start.variant], weights)
    trials.fade(start)
    fading = {(part.unit, part.decay) for part in trials.bests()}
    for variant, build in list(candidate.variants.items())[1:]:
        trials.tables[variant] = evaluator.tables(build, weights)
        for unit, decay in sorted(fading):
            trials.attempt(ComponentConfig(candidate.name, variant, decay, unit))
    if len(evaluator.draws) > 1:
        for part in trials.bests():
            if part.variant != start.variant:
                trials.fade(part)
    if quick is evaluator:
        return {option: _winners(trials, attempts) for option, attempts in trials.found.items()}
    whole = replace(trials, evaluator=evaluator)
    scores: dict[ComponentConfig, Scores] = {}
    return {
        option: [_on_all_rows(whole, _best(attempts).part, scores, exclude_seen=option)]
        for option, attempts in trials.found.items()
    }


@dataclass(frozen=True)
class _Attempt:
    """A part and what each held-out row gains by it."""

    part: ComponentConfig
    gains: Gains


def _best(attempts: Sequence[_Attempt]) -> _Attempt:
    return max(attempts, key=lambda attempt: attempt.gains.mean())


def _winners(trials: _Trials, attempts: Sequence[_Attempt]) -> list[TrialResult]:
    """The best of each draw, each once."""
    best = _best_by_draw(trials.evaluator, attempts)
    return [
        TrialResult(attempts[number].part, trials.leading[attempts[number].part], attempts[number].gains, won)
        for number in dict.fromkeys(best.tolist())
        for won in [tuple(np.flatnonzero(best == number).tolist())]
    ]


def _best_by_draw(evaluator: HoldoutEvaluator, attempts: Sequence[_Attempt]) -> NDArray[np.int64]:
    """Return the place of the best attempt in each draw, int64[draws]."""
    gains = np.array([attempt.gains for attempt in attempts])
    best: NDArray[np.int64] = np.argmax(evaluator.draws @ gains.T, axis=1)
    return best


def _on_all_rows(
    trials: _Trials, best: ComponentConfig, scores: dict[ComponentConfig, Scores], *, exclude_seen: bool
) -> TrialResult:
    """Score the best part on all rows; `scores` holds what was scored before, and is added to."""
    if best not in scores:
        scores[best] = trials.scores(best)
    return TrialResult(
        best, scores[best], trials.evaluator.gains(scores[best], exclude_seen=exclude_seen), (0,)
    )


@dataclass(frozen=True)
class _Trials:
    """What was tried of one candidate, for each way of treating seen items; tables by variant.

    `leading` holds the scores of the parts that are the best of a draw so far.
    """

    evaluator: HoldoutEvaluator
    weights: TypeWeights
    found: Mapping[bool, list[_Attempt]]
    tables: dict[str, Sequence[Table]] = field(default_factory=dict)
    leading: dict[ComponentConfig, Scores] = field(default_factory=dict)

    def attempt(self, part: ComponentConfig) -> None:
        """See what a part gains, unless that is known."""
        if any(part == attempt.part for attempts in self.found.values() for attempt in attempts):
            return
        scores = self.scores(part)
        for option, attempts in self.found.items():
            attempts.append(_Attempt(part, self.evaluator.gains(scores, exclude_seen=option)))
        self.leading[part] = scores
        best = {
            attempts[number].part
            for attempts in self.found.values()
            for number in _best_by_draw(self.evaluator, attempts).tolist()
        }
        for behind in self.leading.keys() - best:
            del self.leading[behind]

    def scores(self, part: ComponentConfig) -> Scores:
        """A part's scores for the evaluator's rows."""
        return self.evaluator.scores(self.tables[part.variant], self.weights, part.decay, part.unit)

    def bests(self) -> list[ComponentConfig]:
        """The best for each way of treating seen items, each once."""
        return list(dict.fromkeys(_best(attempts).part for attempts in self.found.values()))

    def fade(self, part: ComponentConfig) -> None:
        """Try the units, and from the best one on the decays."""
        for unit in _distinct_units(self.evaluator, self.weights):
            self.attempt(replace(part, unit=unit))
        for unit in sorted({best.unit for best in self.bests()}):
            place = _DECAYS.index(part.decay)
            for path in (_DECAYS[place + 1 :], _DECAYS[:place][::-1]):
                self._climb([replace(part, unit=unit, decay=decay) for decay in path])

    def _climb(self, path: Sequence[ComponentConfig]) -> None:
        """Follow the path as long as it leads upwards for somebody."""
        for part in path:
            before = self.bests()
            self.attempt(part)
            if self.bests() == before:
                break


def _distinct_units(evaluator: HoldoutEvaluator, weights: TypeWeights) -> list[Unit]:
    """Units that differ here: without two events in one second, events and seconds are the same."""
    ages: dict[bytes, Unit] = {}
    seen = evaluator.folds[0].events(weights)
    for unit in _UNITS:
        ages.setdefault(seen.ages(unit).tobytes(), unit)
    return list(ages.values())
