"""popular: in the category, in the region, everywhere; the nearest area first."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from services.recommender.domain.catalogue_index import CATEGORY, categories_of, first_category
from services.recommender.domain.recipes import (
    GLOBAL_LIST_ID,
    POPULARITY,
    category_list_id,
    location_list_ids,
)
from services.recommender.serving.placements.candidates import Proposal, Signal
from services.recommender.serving.placements.strategies.parts import WithoutLists, candidates_of
from services.recommender.serving.recommendation import POPULAR

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import ItemScores
    from services.recommender.serving.placements.candidates import Candidate
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from services.recommender.serving.placements.strategies.parts import StrategyParts
    from shared.events.placements import Area, StrategyUse


class Popular(WithoutLists):
    """Items that are popular where the visitor is; the popularity lists are in memory."""

    name: ClassVar[str] = "popular"

    def __init__(self, parts: StrategyParts) -> None:
        self._parts = parts

    async def propose(
        self, use: StrategyUse, request: PlacementRequest, visitor: Visitor, count: int
    ) -> Proposal:
        """Return the popular items of the area, or of all areas that are known, the nearest first."""
        return await self.chain(self.name, request, visitor, count, use.area)

    async def chain(
        self,
        strategy: str,
        request: PlacementRequest,
        visitor: Visitor,
        count: int,
        area: Area | None = None,
    ) -> Proposal:
        """Return popular items as candidates of a strategy, each item once."""
        candidates: list[Candidate] = []
        seen: set[str] = set()
        newest: int | None = None
        catalogue = self._parts.catalogues.of(request.tenant)
        for list_id in self._list_ids(request, visitor, area):
            if len(candidates) >= count:
                break
            scores, generation = await self._list(request.tenant, list_id)
            newest = generation if newest is None and scores else newest
            nearest = candidates_of(
                scores,
                catalogue,
                count - len(candidates),
                strategy=strategy,
                algorithm=POPULARITY,
                signal=Signal("popular_in", detail=_area_name(list_id)),
                skip=seen,
            )
            candidates += nearest
            seen.update(each.item_id for each in nearest)
        return Proposal(candidates, POPULAR, newest) if candidates else Proposal()

    def category(self, request: PlacementRequest) -> str | None:
        """Return the category of the request, else the first one of the requested item."""
        if request.category is not None or request.item_id is None:
            return request.category
        catalogue = self._parts.catalogues.of(request.tenant)
        return first_category(catalogue.property_value(request.item_id, CATEGORY))

    def _list_ids(self, request: PlacementRequest, visitor: Visitor, area: Area | None) -> list[str]:
        list_ids = []
        category = self.category(request) if area in ("category", None) else None
        if category is not None:
            list_ids.append(category_list_id(category))
        if area in ("region", None):
            location = request.location if any(request.location) else visitor.location
            list_ids += location_list_ids(*location) if location else ()
        if area in ("everywhere", None):
            list_ids.append(GLOBAL_LIST_ID)
        return list_ids

    async def of_category(self, tenant: str, category: str) -> tuple[ItemScores, int | None]:
        """Return the popular items of a category, then its newest ones; and their generation."""
        return await self._list(tenant, category_list_id(category))

    async def _list(self, tenant: str, list_id: str) -> tuple[ItemScores, int | None]:
        scores, generation = await self._parts.popularity.get(tenant, list_id)
        kind, _, name = list_id.partition(":")
        if scores or kind != "category":
            return scores, generation
        return await self._of_category(tenant, name)

    async def _of_category(self, tenant: str, category: str) -> tuple[ItemScores, int | None]:
        """Return the popular items of a category without a list, then its other items, the newest first."""
        everywhere, generation = await self._parts.popularity.get(tenant, GLOBAL_LIST_ID)
        catalogue, folded = self._parts.catalogues.of(tenant), category.strip().casefold()
        scores: ItemScores = [
            (item_id, score)
            for item_id, score in everywhere
            if folded in categories_of(catalogue.property_value(item_id, CATEGORY))
        ]
        index = self._parts.catalogues.index_of(tenant)
        known = {item_id for item_id, _ in scores}
        more = index.of_category(category, _MOST_OF_CATEGORY, time.monotonic())
        scores += [(item_id, None) for item_id in more if item_id not in known]
        return scores, generation


_MOST_OF_CATEGORY = 500
"""Items of a category that has no list; arbitrary."""


def _area_name(list_id: str) -> str:
    return "everywhere" if list_id == GLOBAL_LIST_ID else list_id
