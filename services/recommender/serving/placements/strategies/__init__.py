"""The strategies by name: each proposes items, best first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.serving.placements.strategies.catalogue import Fixed, NewArrivals
from services.recommender.serving.placements.strategies.for_you import ForYou
from services.recommender.serving.placements.strategies.history import BuyAgain, RecentlyViewed
from services.recommender.serving.placements.strategies.named import CampaignScores, RecipeLists
from services.recommender.serving.placements.strategies.parts import StrategyParts
from services.recommender.serving.placements.strategies.popular import Popular
from services.recommender.serving.placements.strategies.related import (
    BecauseYouViewed,
    BoughtTogether,
    Similar,
)
from services.recommender.serving.placements.strategies.trending import Trending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.recommender.serving.placements.candidates import Strategy

__all__ = ["Popular", "StrategyParts", "strategies"]


def strategies(parts: StrategyParts, popular: Popular) -> Mapping[str, Strategy]:
    """Return every strategy by its name in a placement."""
    lists = RecipeLists(parts, popular)
    every: tuple[Strategy, ...] = (
        popular,
        ForYou(parts, popular),
        Similar(parts),
        BoughtTogether(parts),
        BecauseYouViewed(parts),
        RecentlyViewed(parts),
        BuyAgain(parts),
        Trending(parts, popular),
        NewArrivals(parts),
        Fixed(parts),
        lists,
        CampaignScores(parts, lists),
    )
    return {strategy.name: strategy for strategy in every}
