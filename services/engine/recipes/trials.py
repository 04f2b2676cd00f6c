"""Trying one ingredient on held-out users: its unit, its decay and its variant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from services.engine.recipes.ingredients import Ingredient
from services.engine.recipes.judging import Gains, Judge, Scores
from services.engine.recipes.weights import TypeWeights
from shared.models import Table
from shared.models.neighbours import Unit

_DECAYS = (0.4, 0.6, 0.8, 0.9, 0.95, 0.98, 1.0)
_UNITS: tuple[Unit, ...] = ("event", "second", "day")


@dataclass(frozen=True)
class Chosen:
    """One ingredient as it was settled."""

    name: str
    variant: str
    decay: float
    unit: Unit
    weight: float = 1.0


@dataclass(frozen=True)
class Tried:
    """A part with its scores on the held-out rows, what each row gains, and the draws that it won."""

    part: Chosen
    scores: Scores
    gains: Gains
    won: tuple[int, ...]


def default(ingredient: Ingredient) -> Chosen:
    """An ingredient before anything is tried: its first variant."""
    return Chosen(ingredient.name, next(iter(ingredient.variants)), ingredient.decay, ingredient.unit)


def tried(
    judge: Judge,
    ingredient: Ingredient,
    weights: TypeWeights,
    options: Sequence[bool],
) -> dict[bool, list[Tried]]:
    """The ingredient's best unit, decay and variant in each draw, for each way of treating seen items.

    One thing at a time: the unit and then the decay with the default variant, then the variant.
    """
    start = default(ingredient)
    found: dict[bool, list[_Attempt]] = {option: [] for option in options}
    tables = {start.variant: judge.tables(ingredient.variants[start.variant], weights)}

    def attempt(part: Chosen) -> None:
        scores = judge.scores(tables[part.variant], weights, part.decay, part.unit)
        for option, attempts in found.items():
            attempts.append(_Attempt(part, judge.gains(scores, exclude_seen=option)))

    for unit in _distinct_units(judge, weights):
        attempt(replace(start, unit=unit))
    for unit in sorted({_best(attempts).part.unit for attempts in found.values()}):
        place = _DECAYS.index(start.decay)
        for path in (_DECAYS[place + 1 :], _DECAYS[:place][::-1]):
            _climb(found, [replace(start, unit=unit, decay=decay) for decay in path], attempt)
    fading = {(_best(attempts).part.unit, _best(attempts).part.decay) for attempts in found.values()}
    for variant, build in list(ingredient.variants.items())[1:]:
        tables[variant] = judge.tables(build, weights)
        for unit, decay in sorted(fading):
            attempt(Chosen(ingredient.name, variant, decay, unit))
    return {option: _winners(judge, attempts, tables, weights) for option, attempts in found.items()}


@dataclass(frozen=True)
class _Attempt:
    """A part and what each held-out row gains by it."""

    part: Chosen
    gains: Gains


def _best(attempts: Sequence[_Attempt]) -> _Attempt:
    return max(attempts, key=lambda attempt: attempt.gains.mean())


def _winners(
    judge: Judge,
    attempts: Sequence[_Attempt],
    tables: Mapping[str, Sequence[Table]],
    weights: TypeWeights,
) -> list[Tried]:
    """The best of each draw, each once."""
    gains = np.array([attempt.gains for attempt in attempts])
    best = np.argmax(judge.draws @ gains.T, axis=1)
    winners = []
    for number in dict.fromkeys(best.tolist()):
        part = attempts[number].part
        scores = judge.scores(tables[part.variant], weights, part.decay, part.unit)
        won = tuple(np.flatnonzero(best == number).tolist())
        winners.append(Tried(part, scores, attempts[number].gains, won))
    return winners


def _climb(
    found: Mapping[bool, Sequence[_Attempt]], path: Sequence[Chosen], attempt: Callable[[Chosen], None]
) -> None:
    """Follow the path as long as it leads upwards for somebody."""
    for part in path:
        before = [_best(attempts) for attempts in found.values()]
        attempt(part)
        if all(_best(attempts) is best for attempts, best in zip(found.values(), before, strict=True)):
            break


def _distinct_units(judge: Judge, weights: TypeWeights) -> list[Unit]:
    """Units that differ here: without two events in one second, events and seconds are the same."""
    ages: dict[bytes, Unit] = {}
    seen = judge.folds[0].occasions(weights)
    for unit in _UNITS:
        ages.setdefault(seen.ages(unit).tobytes(), unit)
    return list(ages.values())
