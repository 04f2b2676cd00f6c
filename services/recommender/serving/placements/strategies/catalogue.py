"""new-arrivals and fixed: items of the catalogue, by age or as the placement names them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from services.recommender.serving.placements.candidates import Proposal, Signal
from services.recommender.serving.placements.strategies.parts import WithoutLists, candidates_of

if TYPE_CHECKING:
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from services.recommender.serving.placements.strategies.parts import StrategyParts
    from shared.events.placements import StrategyUse

CATALOGUE = b"catalogue"
"""The source of an answer that begins with items of the catalogue, as nothing but their age selected them."""
FIXED = b"fixed"
"""The source of an answer that begins with items that the placement names."""


class NewArrivals(WithoutLists):
    """The items of the catalogue with a creation time, newest first; of the requested category if any."""

    name: ClassVar[str] = "new-arrivals"

    def __init__(self, parts: StrategyParts) -> None:
        self._parts = parts

    async def propose(
        self, use: StrategyUse, request: PlacementRequest, visitor: Visitor, count: int
    ) -> Proposal:
        """Return the newest items."""
        index = self._parts.catalogues.index_of(request.tenant)
        newest = index.newest(request.category, count, time.monotonic())
        candidates = candidates_of(
            ((item_id, None) for item_id, _ in newest),
            self._parts.catalogues.of(request.tenant),
            count,
            strategy=self.name,
            signal=Signal("new"),
        )
        return Proposal(candidates, CATALOGUE if candidates else b"")


class Fixed(WithoutLists):
    """The items that the placement names, in its order."""

    name: ClassVar[str] = "fixed"

    def __init__(self, parts: StrategyParts) -> None:
        self._parts = parts

    async def propose(
        self, use: StrategyUse, request: PlacementRequest, visitor: Visitor, count: int
    ) -> Proposal:
        """Return the items that can be sold."""
        candidates = candidates_of(
            ((item_id, None) for item_id in dict.fromkeys(use.item_ids)),
            self._parts.catalogues.of(request.tenant),
            count,
            strategy=self.name,
            signal=Signal("fixed"),
        )
        return Proposal(candidates, FIXED if candidates else b"")
