"""What is popular, kept in memory: the answer that needs neither Redis nor Postgres."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from services.recommender.domain.recipes import EVERYBODY, POPULARITY, place_ids
from services.recommender.store.lists import Found

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import Listed
    from services.recommender.domain.pointers import Pointers
    from services.recommender.store.lists import Lists, Place

KEPT_LISTS = 10_000


class Popular:
    """The popularity lists of every tenant, each fetched once per generation."""

    def __init__(self, lists: Lists, pointers: Pointers) -> None:
        self._lists = lists
        self._pointers = pointers
        # (tenant, list id) → (generation, list); an older generation stays until a newer one is there.
        self._kept: OrderedDict[tuple[str, str], tuple[int, Listed]] = OrderedDict()

    async def near(self, tenant: str, place: Place | None) -> tuple[Listed, int | None]:
        """The list of the nearest place that has one, else of everybody; with its generation."""
        for identifier in place_ids(*place) if place else ():
            listed, generation = await self.named(tenant, identifier)
            if listed:
                return listed, generation
        return await self.named(tenant, EVERYBODY)

    async def named(self, tenant: str, identifier: str) -> tuple[Listed, int | None]:
        """One list, by its id; the newest that could be had."""
        generation = self._pointers.of(tenant).generations.get(POPULARITY)
        kept = self._kept.get((tenant, identifier))
        if generation is None or (kept is not None and kept[0] == generation):
            return (kept[1], kept[0]) if kept else ([], generation)
        found = await self._lists.find(tenant, generation, POPULARITY, identifier, None)
        if self._is_answer(found):
            self._kept[tenant, identifier] = (generation, found.listed)
            if len(self._kept) > KEPT_LISTS:
                self._kept.popitem(last=False)
            return found.listed, generation
        return (kept[1], kept[0]) if kept else ([], generation)

    @staticmethod
    def _is_answer(found: Found) -> bool:
        """Whether the list was really looked up; an empty one then says that there is none."""
        return found.source != b""
