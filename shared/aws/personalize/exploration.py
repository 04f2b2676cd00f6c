"""itemExplorationConfig: how much a campaign explores, and which items. Its values are strings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

WEIGHT, CUT_OFF = "explorationWeight", "explorationItemAgeCutOff"


@dataclass(frozen=True, slots=True)
class Exploration:
    """`weight` is from 0 (none) to 1, `age_cut_off` in days; `is_asked_for`: the request sets a weight.

    The defaults are those of Amazon Personalize.
    """

    weight: float = 0.3
    age_cut_off: float = 30.0
    is_asked_for: bool = False

    @classmethod
    def of(cls, config: Mapping[str, str] | None) -> Exploration:
        """Parse the settings; raises ValueError for unknown names and invalid values."""
        settings = dict(config or {})
        weight = _number(settings, WEIGHT, 0.3)
        cut_off = _number(settings, CUT_OFF, 30.0)
        if not 0 <= weight <= 1:
            message = f"{WEIGHT} must be between 0 and 1, not {weight:g}."
            raise ValueError(message)
        if cut_off <= 0:
            message = f"{CUT_OFF} must be a number of days above 0, not {cut_off:g}."
            raise ValueError(message)
        unknown = sorted(settings.keys() - {WEIGHT, CUT_OFF})
        if unknown:
            message = f"itemExplorationConfig has no {unknown[0]!r}; it has {WEIGHT} and {CUT_OFF}."
            raise ValueError(message)
        return cls(weight, cut_off, WEIGHT in settings)


def _number(settings: Mapping[str, str], name: str, default: float) -> float:
    text = settings.get(name)
    if text is None:
        return default
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not math.isfinite(number):
        message = f"{name} must be a number, not {text!r}."
        raise ValueError(message)
    return number


def checked(config: dict[str, str]) -> dict[str, str]:
    """Return the settings of a request unchanged; raises ValueError if they are invalid."""
    Exploration.of(config)
    return config
