"""Candidates from precomputed lists: for a campaign whose model is not loaded, and for a recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.recommender.serving.recommendation import POPULAR, POPULAR_REASON, Recommendation

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import Catalogue, ItemScores
    from services.recommender.serving.filtering import ItemFilters
    from services.recommender.serving.query import BoundFilter, RequestContext
    from services.recommender.store.lists import ListLookup


@dataclass(slots=True)
class ListCandidates:
    """A list, and popular items for when it is too short or there is none."""

    lookup: ListLookup
    popular: ItemScores
    catalogue: Catalogue
    item_filters: ItemFilters
    source: bytes = field(init=False, default=POPULAR)
    """The inputs of the last answer."""

    async def best(
        self, context: RequestContext, bound_filter: BoundFilter | None, limit: int
    ) -> list[Recommendation]:
        """Return the first items that are visible, not purchased, and pass the filter; set `source`."""
        if bound_filter is not None:
            return await self._best_passing(context, bound_filter, limit)
        excluded = self.lookup.purchased
        visible = self.catalogue.visible(self.lookup.items, excluded, limit)
        if visible:
            self.source = self.lookup.source
        else:
            if context.item_id is not None:
                excluded = {*excluded, context.item_id}
            visible = self.catalogue.visible(self.popular, excluded, limit)
        return [Recommendation(item_id, score) for item_id, score in visible]

    async def _best_passing(
        self, context: RequestContext, bound_filter: BoundFilter, limit: int
    ) -> list[Recommendation]:
        scores = dict(self.lookup.items)
        item_ids = list(dict.fromkeys([*scores, *(item_id for item_id, _ in self.popular)]))
        items = self.item_filters.without_model(item_ids, self.catalogue)
        mask = await self.item_filters.mask(bound_filter, items, None, context)
        excluded = set() if bound_filter.overrides_history_rules else self.lookup.purchased
        passing = [
            item_id
            for item_id, passes in zip(item_ids, mask.tolist(), strict=True)
            if passes and item_id not in excluded and not self.catalogue.is_withdrawn(item_id)
        ]
        if passing and passing[0] in scores:
            self.source = self.lookup.source
        return [
            Recommendation(item_id, scores[item_id])
            if item_id in scores
            else Recommendation(item_id, reason=POPULAR_REASON)
            for item_id in passing[:limit]
        ]
