"""Pages of the lists that the REST API serves, as items and scores: for GraphQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.recommender.domain.recipes import GLOBAL_LIST_ID, POPULARITY, USER
from services.recommender.metrics import ANSWERS
from services.recommender.serving.recommendation import POPULAR
from services.recommender.serving.served_lists import ServedItems
from services.recommender.store.lists import POSTGRES, REDIS

if TYPE_CHECKING:
    from services.recommender.domain.activations import ActiveGenerations
    from services.recommender.domain.catalogue import ItemScores
    from services.recommender.domain.override import Override
    from services.recommender.serving.placements.strategies import Popular
    from services.recommender.serving.precomputed import PrecomputedRecommendations
    from services.recommender.store.catalogues import Catalogues
    from services.recommender.store.lists import ListLookup
    from services.recommender.store.popularity_lists import PopularityLists


_ANSWERS = {source: ANSWERS.labels(source.decode()) for source in (REDIS, POSTGRES, POPULAR)}


@dataclass(slots=True)
class Page:
    """Some items of a list, best first, and the generation that the list belongs to."""

    items: ItemScores
    has_more: bool
    generation: int | None
    activated_at: float
    overrides: Mapping[str, Override] = field(default_factory=dict)
    """The overrides of the list by item."""
    source: bytes = POPULAR
    algorithm: str = POPULARITY
    """The recipe or the campaign that chose the items before `popular_from`."""
    popular_from: int = 0
    others_from: int = 0
    """The indices of the first items that fill the page up: popular ones, then others."""

    def served(self) -> ServedItems:
        """Return the items with what chose each."""
        return ServedItems(
            self.items, self.algorithm, self.popular_from, self.others_from, self.overrides.keys()
        )


class PagedRecommendations:
    """Returns pages of the list of a user, and of the items of a category."""

    def __init__(
        self,
        precomputed: PrecomputedRecommendations,
        popularity: PopularityLists,
        popular: Popular,
        catalogues: Catalogues,
        active: ActiveGenerations,
    ) -> None:
        self._precomputed = precomputed
        self._popularity = popularity
        self._popular = popular
        self._catalogues = catalogues
        self._active = active

    async def for_user(self, tenant: str, user_id: str, offset: int, limit: int) -> Page:
        """Return a page of a user's list; a first page that is too short is filled up with popular items."""
        end = offset + limit
        listed = await self._precomputed.user_list(tenant, user_id, USER, end + 1)
        lookup, overrides, generation, algorithm = listed
        items = self._catalogues.of(tenant).visible(lookup.items, lookup.purchased, end + 1)
        has_more, page = len(items) > end, items[offset:end]
        source, popular_from = lookup.source or POPULAR, len(page)
        others_from = popular_from
        if len(page) < limit and not offset:
            source = source if page else POPULAR
            others_from = await self._fill_up(tenant, page, lookup, limit)
        _ANSWERS[source].inc()
        return Page(
            page,
            has_more,
            generation,
            self._active.of(tenant).activated_at,
            {each.item_id: each for each in overrides} if overrides else {},
            source,
            algorithm,
            popular_from,
            others_from,
        )

    async def for_category(self, tenant: str, category: str, offset: int, limit: int) -> Page:
        """Return a page of the items of a category: popular ones by popularity, then the newest."""
        scores, generation = await self._popular.of_category(tenant, category)
        end = offset + limit
        items = self._catalogues.of(tenant).visible(scores, set(), end + 1)
        _ANSWERS[POPULAR].inc()
        page, activated_at = items[offset:end], self._active.of(tenant).activated_at
        scored = sum(score is not None for _, score in page)  # the newest items follow, without a score
        return Page(page, len(items) > end, generation, activated_at, popular_from=scored, others_from=scored)

    async def _fill_up(self, tenant: str, page: ItemScores, lookup: ListLookup, limit: int) -> int:
        """Fill up as `PrecomputedRecommendations` does; return the index after the last popular item."""
        catalogue = self._catalogues.of(tenant)
        excluded = lookup.purchased | {item_id for item_id, _ in lookup.items}
        nearest, _ = await self._popularity.nearest(tenant, lookup.location)
        everywhere, _ = await self._popularity.get(tenant, GLOBAL_LIST_ID)
        for popular in (nearest, everywhere):
            page += catalogue.visible(popular, excluded, limit - len(page))
            excluded |= {item_id for item_id, _ in popular}
        popular_until = len(page)
        if page:
            page += [(item_id, None) for item_id in catalogue.any_items(excluded, limit - len(page))]
        return popular_until
