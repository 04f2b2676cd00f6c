"""Candidates from the model of a campaign, scored by the user's most recent events."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from services.recommender.metrics import SCORE_SECONDS
from services.recommender.serving.recommendation import (
    EXPLORATION_REASON,
    MODEL,
    POPULAR_REASON,
    Recommendation,
)

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import Catalogue
    from services.recommender.domain.filterable_items import FilterableItems, Mask
    from services.recommender.serving.filtering import ItemFilters
    from services.recommender.serving.query import BoundFilter, RequestContext
    from shared.models import Model
    from shared.models.exploration import Bonus

_SPARE_ITEMS = 20
"""Items scored beyond the limit at first, since some may be withdrawn. Arbitrary."""
_GROWTH = 8
"""Factor by which more items are scored when too many were withdrawn. Arbitrary."""


@dataclass(frozen=True, slots=True)
class ModelCandidates:
    """A model and its items. `unrestricted_model` has no rule on items that the user has seen."""

    source: ClassVar[bytes] = MODEL

    model: Model
    unrestricted_model: Model
    items: FilterableItems
    catalogue: Catalogue
    item_filters: ItemFilters
    bonus: Bonus | None = None

    async def best(
        self, context: RequestContext, bound_filter: BoundFilter | None, limit: int
    ) -> list[Recommendation]:
        """Return the best items that pass; if there are too few, popular ones follow without a score."""
        started_at = time.perf_counter()
        allowed = None
        if bound_filter is not None:
            allowed = await self.item_filters.mask(bound_filter, self.items, self.model, context)
        best = self._scored(context, bound_filter, limit, allowed, self.bonus)
        if self.bonus is not None and any(self.bonus.covers(self.items.rows[each.item_id]) for each in best):
            unboosted = {each.item_id for each in self._scored(context, bound_filter, limit, allowed, None)}
            best = [
                each
                if each.item_id in unboosted
                else Recommendation(each.item_id, each.score, reason=EXPLORATION_REASON)
                for each in best
            ]
        if allowed is not None and len(best) < limit:
            popular = self._popular(context, bound_filter, allowed, {each.item_id for each in best})
            best += popular[: limit - len(best)]
        SCORE_SECONDS.observe(time.perf_counter() - started_at)
        return best

    def _scored(
        self,
        context: RequestContext,
        bound_filter: BoundFilter | None,
        limit: int,
        allowed: Mask | None,
        bonus: Bonus | None,
    ) -> list[Recommendation]:
        """Return the items that the model scores best, without purchased and withdrawn ones."""
        any_history = _overrides_history_rules(bound_filter)
        model = self.unrestricted_model if any_history else self.model
        for_item, count = self.model.scoring.kind == "item", limit + _SPARE_ITEMS
        sampled_bonus = None if bonus is None else bonus.sample()
        while True:
            scores = model.recommend(
                user_id=context.model_user_id,
                item_id=context.item_id,
                history=context.profile.history,
                exclude=() if any_history else context.profile.purchased,
                limit=count,
                relevance=for_item,
                allowed=allowed,
                bonus=sampled_bonus,
                context=context.context,
            )
            visible = self.catalogue.visible(scores, set(), limit)
            if len(visible) == limit or len(scores) < count:
                break
            count *= _GROWTH
        if for_item:
            # The model fills up an item's list with popular items, whose relevance is 0.
            popular_reason = POPULAR_REASON if allowed is not None else None
            return [
                Recommendation(item_id, reason=None if relevance else popular_reason)
                for item_id, relevance in visible
            ]
        return [Recommendation(item_id, score) for item_id, score in visible]

    def _popular(
        self,
        context: RequestContext,
        bound_filter: BoundFilter | None,
        allowed: Mask,
        recommended: set[str],
    ) -> list[Recommendation]:
        purchased = set() if _overrides_history_rules(bound_filter) else context.profile.purchased
        excluded = recommended | purchased | ({context.item_id} if context.item_id else set())
        return [
            Recommendation(item_id, reason=POPULAR_REASON)
            for item_id in self.unrestricted_model.popular(exclude=excluded, allowed=allowed)
            if not self.catalogue.is_withdrawn(item_id)
        ]


def _overrides_history_rules(bound_filter: BoundFilter | None) -> bool:
    return bound_filter is not None and bound_filter.overrides_history_rules
