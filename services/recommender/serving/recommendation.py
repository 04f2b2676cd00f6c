"""One item of an answer, why it is there, and what an answer was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

POPULAR = b"popular"
MODEL = b"model"
"""Sources of an answer, beside those of a list: its items are merely popular, or a model scored them."""

PROMOTED_REASON = ("Promoted item",)
EXPLORATION_REASON = ("Exploration",)
POPULAR_REASON = ("Popular item",)
"""Values of `reason` in an answer of GetRecommendations."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A recommended item; `reason` says why it is there if that is not its score alone."""

    item_id: str
    score: float | None = None
    promotion: str | None = None
    reason: tuple[str, ...] | None = None


class History(NamedTuple):
    """The number of events by which a model scored, and the time of the newest in seconds since 1970."""

    events: int
    newest_seconds: float | None


class Recommended(NamedTuple):
    """The items of an answer, best first, their source, and what they were made from."""

    items: list[Recommendation]
    source: bytes
    generation: int | None
    """The batch of the list; None for a model."""
    history: History | None
    """None without a model, which alone reads it."""


class ServedVariant(NamedTuple):
    """The variant of an experiment that answered."""

    experiment: str
    version: int
    name: str
    propensity: float | None = None
    """The probability with which the unit got it; None if none was drawn."""
    picked_by: tuple[str, ...] = ()
    """The variant that picked each item of an interleaved answer."""
