"""Attribution of events to the answers of an experiment, by the recommendationId that they name."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from shared.aws import Arn
from shared.aws.personalize.recommendation_ids import is_from
from shared.experiments import AFFINITY, RECOMMENDATIONS, SIMILAR

if TYPE_CHECKING:
    from shared.experiments import Experiment

_LISTS: Final = {
    RECOMMENDATIONS: "user-personalization",
    AFFINITY: "item-affinity",
    SIMILAR: "similar-items",
}
"""The recipe by which a surface of lists answers without a strategy, which ids of its answers name."""


def is_answered_by(recommendation_id: str | None, experiment: Experiment) -> bool:
    """Return whether an id is that of an answer of the surface, or of a strategy of a variant."""
    if recommendation_id is None:
        return False
    strategies = tuple(variant.strategy for variant in experiment.variants)
    return any(
        is_from(recommendation_id, experiment.tenant, source)
        for source in _sources(experiment.surface, strategies)
    )


@lru_cache(maxsize=4_096)
def _sources(surface: str, strategies: tuple[str | None, ...]) -> frozenset[str]:
    """Return the names under which the recommender signs the answers."""
    kind, _, name = surface.partition("/")
    sources = {surface if kind == "placement" else name or _LISTS.get(surface, surface)}
    if kind != "placement":
        for strategy in strategies:
            if strategy is not None:
                is_arn = strategy.startswith("arn:")
                sources.add(Arn.parse(strategy, "campaign").name if is_arn else strategy)
    return frozenset(sources)
