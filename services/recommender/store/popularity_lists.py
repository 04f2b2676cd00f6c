"""Popularity lists in memory: the answer that needs neither Redis nor Postgres."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from services.recommender.domain.catalogue import ItemScores
from services.recommender.domain.recipes import (
    GLOBAL_LIST_ID,
    POPULARITY,
    category_list_id,
    location_list_ids,
)

if TYPE_CHECKING:
    from services.recommender.domain.activations import ActiveGenerations
    from services.recommender.store.lists import Lists, Location

MAX_LISTS = 10_000


class PopularList(NamedTuple):
    """A popularity list, and the generation that it belongs to."""

    items: ItemScores
    generation: int | None


class PopularityLists:
    """The popularity lists of every tenant, each fetched once per generation."""

    def __init__(self, lists: Lists, active: ActiveGenerations) -> None:
        self._lists = lists
        self._active = active
        # (tenant, list id) → (generation, list); an older generation stays until a newer one is available.
        self._cache: OrderedDict[tuple[str, str], tuple[int, ItemScores]] = OrderedDict()

    async def nearest(self, tenant: str, location: Location | None) -> tuple[ItemScores, int | None]:
        """Return the list of the nearest area that has one, else the global one; and its generation."""
        for list_id in location_list_ids(*location) if location else ():
            items, generation = await self.get(tenant, list_id)
            if items:
                return items, generation
        return await self.get(tenant, GLOBAL_LIST_ID)

    async def chain(self, tenant: str, category: str | None, location: Location | None) -> list[PopularList]:
        """Return the lists of a category, of the nearest area that has one, and last the global one."""
        lists = []
        if category is not None:
            lists.append(PopularList(*await self.get(tenant, category_list_id(category))))
        if location is not None:
            lists.append(PopularList(*await self.nearest(tenant, location)))
        everywhere = PopularList(*await self.get(tenant, GLOBAL_LIST_ID))
        return lists if lists and lists[-1] == everywhere else [*lists, everywhere]

    async def get(self, tenant: str, list_id: str) -> tuple[ItemScores, int | None]:
        """Return a list by its id, and its generation: the newest that is available."""
        generation = self._active.of(tenant).generations.get(POPULARITY)
        cached = self._cache.get((tenant, list_id))
        if generation is None or (cached is not None and cached[0] == generation):
            return (cached[1], cached[0]) if cached else ([], generation)
        lookup = await self._lists.look_up(tenant, generation, POPULARITY, list_id, None)
        # An empty list is cached too, unless it is empty because nothing answered.
        if lookup.source:
            self._cache[tenant, list_id] = (generation, lookup.items)
            if len(self._cache) > MAX_LISTS:
                self._cache.popitem(last=False)
            return lookup.items, generation
        return (cached[1], cached[0]) if cached else ([], generation)
