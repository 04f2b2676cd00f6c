"""The engine with its strategies and rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.serving.placements.engine import PlacementEngine
from services.recommender.serving.placements.placement_rules import PlacementRules
from services.recommender.serving.placements.single_pass import SinglePass
from services.recommender.serving.placements.strategies import strategies
from services.recommender.serving.placements.visitor import Visitors

if TYPE_CHECKING:
    from services.recommender.domain.erased_users import ErasedUsers
    from services.recommender.serving.filtering import ItemFilters
    from services.recommender.serving.placements.rules import ItemImpressions, ItemQuotas
    from services.recommender.serving.placements.strategies import Popular, StrategyParts
    from services.recommender.serving.placements.variants import PlacementVariants
    from services.recommender.store.placements import Placements
    from services.recommender.store.visitor_states import VisitorStates


def placement_engine(  # noqa: PLR0917 - the parts of the engine
    placements: Placements,
    parts: StrategyParts,
    popular: Popular,
    states: VisitorStates,
    erased_users: ErasedUsers,
    item_filters: ItemFilters,
    quotas: ItemQuotas,
    impressions: ItemImpressions,
    variants: PlacementVariants,
) -> PlacementEngine:
    """Return the engine that answers placements."""
    rules = PlacementRules(parts.catalogues, parts.campaigns, item_filters, quotas, impressions)
    return PlacementEngine(
        placements,
        strategies(parts, popular),
        popular,
        Visitors(states, erased_users),
        parts.catalogues,
        rules,
        SinglePass(parts, rules),
        variants,
    )
