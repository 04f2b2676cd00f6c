"""Picks of lists: what answers for a campaign whose model is not here, and for a recipe's lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.recommender.api.answers import POPULAR
from services.recommender.domain.placing import POPULAR_INSTEAD, Pick

if TYPE_CHECKING:
    from services.recommender.api.filtering import BoundFilter, ItemFilters, RequestContext
    from services.recommender.domain.catalogue import Catalogue, Listed
    from services.recommender.store.lists import Found


@dataclass(slots=True)
class FromLists:
    """A list, and what is popular where it is too short or there is none."""

    found: Found
    popular: Listed
    catalogue: Catalogue
    item_filters: ItemFilters
    source: bytes = field(init=False, default=POPULAR)

    async def picks(
        self, request: RequestContext, bound_filter: BoundFilter | None, limit: int
    ) -> list[Pick]:
        """The first items that may be shown, and pass."""
        if bound_filter is not None:
            return await self._passing(request, bound_filter, limit)
        bought = self.found.bought
        allowed = self.catalogue.allowed(self.found.listed, bought, limit)
        if allowed:
            self.source = self.found.source
        else:
            allowed = self.catalogue.allowed(self.popular, bought, limit)
        return [Pick(item, score) for item, score in allowed]

    async def _passing(self, request: RequestContext, bound_filter: BoundFilter, limit: int) -> list[Pick]:
        scores = dict(self.found.listed)
        ids = list(dict.fromkeys([*scores, *(item for item, _ in self.popular)]))
        mask = await self.item_filters.mask(
            bound_filter, self.item_filters.listed(ids, self.catalogue), None, request
        )
        bought = set() if bound_filter.overrides_history_rules else self.found.bought
        passing = [
            item
            for item, passes in zip(ids, mask.tolist(), strict=True)
            if passes and item not in bought and not self.catalogue.withheld(item)
        ]
        if passing and passing[0] in scores:
            self.source = self.found.source
        return [
            Pick(item, scores[item]) if item in scores else Pick(item, reason=POPULAR_INSTEAD)
            for item in passing[:limit]
        ]
