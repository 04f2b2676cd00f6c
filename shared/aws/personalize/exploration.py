"""itemExplorationConfig: how much, and which items, a campaign explores. Its values are strings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

WEIGHT, CUT_OFF = "explorationWeight", "explorationItemAgeCutOff"


@dataclass(frozen=True, slots=True)
class Exploration:
    """`weight` is 0 (none) to 1, `age_cut_off` in days; `is_asked_for` says that a weight was given."""

    weight: float = 0.3
    age_cut_off: float = 30.0
    is_asked_for: bool = False

    @classmethod
    def of(cls, config: Mapping[str, str] | None) -> Exploration:
        """Read the settings; ValueError for names and values that mean nothing."""
        given = dict(config or {})
        weight = _number(given, WEIGHT, 0.3)
        cut_off = _number(given, CUT_OFF, 30.0)
        if not 0 <= weight <= 1:
            message = f"{WEIGHT} must be between 0 and 1, not {weight:g}."
            raise ValueError(message)
        if cut_off <= 0:
            message = f"{CUT_OFF} must be a number of days above 0, not {cut_off:g}."
            raise ValueError(message)
        unknown = sorted(given.keys() - {WEIGHT, CUT_OFF})
        if unknown:
            message = f"itemExplorationConfig has no {unknown[0]!r}; it has {WEIGHT} and {CUT_OFF}."
            raise ValueError(message)
        return cls(weight, cut_off, WEIGHT in given)


def _number(given: Mapping[str, str], name: str, usual: float) -> float:
    text = given.get(name)
    if text is None:
        return usual
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not math.isfinite(number):
        message = f"{name} must be a number, not {text!r}."
        raise ValueError(message)
    return number


def checked(config: dict[str, str]) -> dict[str, str]:
    """The settings as they are, if they can be read; for requests."""
    Exploration.of(config)
    return config
