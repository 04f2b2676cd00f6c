"""trending: what visitors turn to now."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from services.recommender.domain.catalogue_index import CATEGORY, categories_of
from services.recommender.serving.placements.candidates import Proposal, Signal
from services.recommender.serving.placements.strategies.parts import WithoutLists, candidates_of
from services.recommender.store.lists import REDIS

if TYPE_CHECKING:
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from services.recommender.serving.placements.strategies.parts import StrategyParts
    from services.recommender.serving.placements.strategies.popular import Popular
    from shared.events.placements import StrategyUse

_SIGNAL = Signal("trending")
_MOST_ITEMS = 500
"""Trending items that are looked at; arbitrary."""


class Trending(WithoutLists):
    """Items with more events in the last hours than the day before lets expect, then popular ones."""

    name: ClassVar[str] = "trending"

    def __init__(self, parts: StrategyParts, popular: Popular) -> None:
        self._parts = parts
        self._popular = popular

    async def propose(
        self, use: StrategyUse, request: PlacementRequest, visitor: Visitor, count: int
    ) -> Proposal:
        """Return trending items, of the requested category if there is one, then popular items.

        Of a tenant with a catalogue they are items of it.
        """
        catalogue = self._parts.catalogues.of(request.tenant)
        scores = await self._parts.trending.of(request.tenant, _MOST_ITEMS)
        if len(catalogue):
            # Events are counted as they come, and whoever has the key of a shop's pages can invent item ids.
            scores = [each for each in scores if catalogue.state_token(each[0])]
        category = self._popular.category(request)
        if category is not None:
            folded = category.strip().casefold()
            scores = [
                each
                for each in scores
                if folded in categories_of(catalogue.property_value(each[0], CATEGORY))
            ]
        candidates = candidates_of(scores, catalogue, count, strategy=self.name, signal=_SIGNAL)
        if len(candidates) >= count:
            return Proposal(candidates, REDIS)
        popular = await self._popular.chain(self.name, request, visitor, count)
        if not candidates:
            return popular
        known = {each.item_id for each in candidates}
        more = [each for each in popular.candidates if each.item_id not in known]
        return Proposal([*candidates, *more][:count], REDIS)
