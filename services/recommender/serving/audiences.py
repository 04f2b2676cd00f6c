"""Recommendations for many customers at once: each customer's items, and those that most of them get."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from services.recommender.domain.catalogue_index import CATEGORY, categories_of
from services.recommender.serving.placements.request import PlacementRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.recommender.domain.erased_users import ErasedUsers
    from services.recommender.serving.placements.candidates import Candidate
    from services.recommender.serving.placements.engine import PlacementEngine
    from services.recommender.store.catalogues import Catalogues
    from services.recommender.store.customers import Customer

PLACEMENT = "home"
CONCURRENT_CUSTOMERS = 16
MAX_AGGREGATED = 20
"""Items of an aggregation."""


@dataclass(frozen=True, slots=True)
class AggregatedItem:
    """An item, the mean of its scores, and the number of customers who get it."""

    item_id: str
    mean_score: float
    customers: int


@dataclass(frozen=True, slots=True)
class Audience:
    """Customers with their items, and the aggregation of these."""

    customers: Sequence[tuple[Customer, Sequence[Candidate]]]
    aggregated: Sequence[AggregatedItem]


class Audiences:
    """Answers the placement `home` for each customer."""

    def __init__(self, engine: PlacementEngine, catalogues: Catalogues, erased_users: ErasedUsers) -> None:
        self._engine = engine
        self._catalogues = catalogues
        self._erased_users = erased_users

    async def of(
        self, tenant: str, customers: Sequence[Customer], count: int, category: str | None
    ) -> Audience:
        """Return `count` items for each customer, of a category if one is named, and their aggregation.

        Customers who are being erased are left out.
        """
        erased_until = self._erased_users.erased_until
        customers = [each for each in customers if not erased_until(tenant, [each.user_id])]
        turns = asyncio.Semaphore(CONCURRENT_CUSTOMERS)

        async def items_of(customer: Customer) -> Sequence[Candidate]:
            async with turns:
                request = PlacementRequest(tenant, PLACEMENT, user_id=customer.user_id, limit=count)
                answer = await self._engine.answer(request)
            return [each for each in answer.items if self._is_in(tenant, each.item_id, category)]

        lists = await asyncio.gather(*map(items_of, customers))
        return Audience(list(zip(customers, lists, strict=True)), aggregated(lists))

    def _is_in(self, tenant: str, item_id: str, category: str | None) -> bool:
        if category is None:
            return True
        value = self._catalogues.of(tenant).property_value(item_id, CATEGORY)
        return category.strip().casefold() in categories_of(value)


def aggregated(lists: Sequence[Sequence[Candidate]]) -> list[AggregatedItem]:
    """Return the items of all lists with the highest mean score; an item without a score counts as 0."""
    scores: defaultdict[str, list[float]] = defaultdict(list)
    for items in lists:
        for item in items:
            scores[item.item_id].append(item.score or 0.0)
    means = [AggregatedItem(item_id, fmean(values), len(values)) for item_id, values in scores.items()]
    means.sort(key=lambda each: (-each.mean_score, -each.customers, each.item_id))
    return means[:MAX_AGGREGATED]
