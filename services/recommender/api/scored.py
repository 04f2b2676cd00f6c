"""Picks of a campaign's model, scored now from what the user did a moment ago."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from services.recommender.api.answers import MODEL
from services.recommender.domain.placing import EXPLORED, POPULAR_INSTEAD, Pick
from services.recommender.metrics import SCORE_SECONDS

if TYPE_CHECKING:
    from services.recommender.api.filtering import BoundFilter, ItemFilters, RequestContext
    from services.recommender.domain.catalogue import Catalogue
    from services.recommender.domain.filterable_items import FilterableItems, Mask
    from shared.models import Model
    from shared.models.exploration import Bonus

_SPARE = 20
"""So many items more than asked for are scored at first, in case some are not available."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A model and its items. `open` is the model without a rule on what a user has seen."""

    source: ClassVar[bytes] = MODEL

    model: Model
    open: Model
    filterable_items: FilterableItems
    catalogue: Catalogue
    item_filters: ItemFilters
    bonus: Bonus | None = None

    async def picks(
        self, request: RequestContext, bound_filter: BoundFilter | None, limit: int
    ) -> list[Pick]:
        """The best items that pass; where too few do, popular ones that pass follow without a score."""
        began = time.perf_counter()
        allowed = (
            None
            if bound_filter is None
            else await self.item_filters.mask(bound_filter, self.filterable_items, self.model, request)
        )
        picks = self._best(request, bound_filter, limit, allowed, self.bonus)
        if self.bonus is not None and any(
            self.bonus.covers(self.filterable_items.rows[pick.item]) for pick in picks
        ):
            plain = {pick.item for pick in self._best(request, bound_filter, limit, allowed, None)}
            picks = [
                pick if pick.item in plain else Pick(pick.item, pick.score, reason=EXPLORED) for pick in picks
            ]
        if allowed is not None and len(picks) < limit:
            picks += self._popular(request, bound_filter, allowed, {pick.item for pick in picks})[
                : limit - len(picks)
            ]
        SCORE_SECONDS.observe(time.perf_counter() - began)
        return picks

    def _best(
        self,
        request: RequestContext,
        bound_filter: BoundFilter | None,
        limit: int,
        allowed: Mask | None,
        bonus: Bonus | None,
    ) -> list[Pick]:
        """What the model says, without what was bought or can't be sold."""
        model = self.open if _overrides_history_rules(bound_filter) else self.model
        related, asked = self.model.scoring.kind == "item", limit + _SPARE
        lifted = None if bonus is None else bonus.sample()
        while True:
            scored = model.recommend(
                user_id=request.name_in_models,
                item_id=request.item_id,
                history=request.profile.history,
                exclude=() if _overrides_history_rules(bound_filter) else request.profile.bought,
                limit=asked,
                relevance=related,
                allowed=allowed,
                bonus=lifted,
                context=request.context,
            )
            kept = self.catalogue.allowed(scored, set(), limit)
            if len(kept) == limit or len(scored) < asked:
                break
            asked *= 8
        if related:
            # An item's list is filled up with popular items, which have nothing to do with it.
            filled = POPULAR_INSTEAD if allowed is not None else None
            return [Pick(item, reason=None if score else filled) for item, score in kept]
        return [Pick(item, score) for item, score in kept]

    def _popular(
        self, request: RequestContext, bound_filter: BoundFilter | None, allowed: Mask, listed: set[str]
    ) -> list[Pick]:
        bought = set() if _overrides_history_rules(bound_filter) else request.profile.bought
        left_out = listed | bought | ({request.item_id} if request.item_id else set())
        return [
            Pick(item, reason=POPULAR_INSTEAD)
            for item in self.open.popular(exclude=left_out, allowed=allowed)
            if not self.catalogue.withheld(item)
        ]


def _overrides_history_rules(bound_filter: BoundFilter | None) -> bool:
    return bound_filter is not None and bound_filter.overrides_history_rules
