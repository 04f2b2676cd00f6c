"""One item of an answer, why it is there, and what an answer was made from."""

from __future__ import annotations

from dataclasses import dataclass

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
