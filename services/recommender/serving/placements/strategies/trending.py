"""trending: what visitors turn to now."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from services.recommender.serving.placements.strategies.parts import WithoutLists

if TYPE_CHECKING:
    from services.recommender.serving.placements.candidates import Proposal
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from services.recommender.serving.placements.strategies.popular import Popular
    from shared.events.placements import StrategyUse


class Trending(WithoutLists):
    """Items that are popular now; the lists of the last training run say so."""

    name: ClassVar[str] = "trending"

    def __init__(self, popular: Popular) -> None:
        self._popular = popular

    async def propose(
        self, use: StrategyUse, request: PlacementRequest, visitor: Visitor, count: int
    ) -> Proposal:
        """Return popular items, those of the requested category first."""
        return await self._popular.chain(self.name, request, visitor, count)
