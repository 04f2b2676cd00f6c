"""Recommendations from precomputed lists, encoded as JSON: what the REST API answers without a campaign.

A list of a user contains the user's overrides. A list that is too short is filled up: with what is popular at
the user's location, then everywhere, then with any items that are for sale.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from services.recommender.domain.recipes import (
    BY_ITEM,
    BY_USER,
    GLOBAL_LIST_ID,
    POPULARITY,
    SIMILAR,
    location_list_ids,
)
from services.recommender.metrics import ANSWERS
from services.recommender.serving.overrides import encode_merged, merge
from services.recommender.serving.recommendation import MODEL, POPULAR
from services.recommender.store.lists import POSTGRES, REDIS, ListLookup
from shared.errors import ApiError

if TYPE_CHECKING:
    from services.recommender.domain.activations import ActiveGenerations
    from services.recommender.domain.catalogue import ItemScores
    from services.recommender.domain.override import Override
    from services.recommender.store.activations import ActivationFeed
    from services.recommender.store.catalogues import Catalogues
    from services.recommender.store.lists import Lists, Location
    from services.recommender.store.overrides import Overrides
    from services.recommender.store.popularity_lists import PopularityLists

_ANSWERS = {source: ANSWERS.labels(source.decode()) for source in (REDIS, POSTGRES, POPULAR, MODEL)}


class EncodedList(NamedTuple):
    """Recommended items as JSON objects, their source, and the generation that the list belongs to."""

    items: list[bytes]
    source: bytes
    generation: int | None


class UserList(NamedTuple):
    """The list of a user with the overrides in it, and the generation that it belongs to."""

    lookup: ListLookup
    overrides: Sequence[Override]
    generation: int | None


class _PopularList(NamedTuple):
    items: ItemScores
    generation: int | None


class PrecomputedRecommendations:
    """Recommends from lists, for a user, a guest, an item or a location."""

    def __init__(
        self,
        lists: Lists,
        popularity: PopularityLists,
        catalogues: Catalogues,
        active: ActiveGenerations,
        activations: ActivationFeed,
        overrides: Overrides,
    ) -> None:
        self._lists = lists
        self._popularity = popularity
        self._catalogues = catalogues
        self._active = active
        self._activations = activations
        self._overrides = overrides

    def for_user(
        self, tenant: str, user_id: str, limit: int, recipe: str
    ) -> Coroutine[Any, Any, EncodedList]:
        """Return items for a user, without recent purchases."""
        return self._recommend(tenant, recipe, user_id, user_id, limit)

    async def for_guest(self, tenant: str, limit: int) -> EncodedList:
        """Return the most popular items, for a visitor without an id."""
        await self._generation(tenant, POPULARITY)
        items: list[bytes] = []
        popular = await self._fill_up(tenant, items, ListLookup(), set(), limit)
        return _counted(items, POPULAR, popular.generation if popular else None)

    def for_item(
        self, tenant: str, item_id: str, limit: int, recipe: str
    ) -> Coroutine[Any, Any, EncodedList]:
        """Return items related to an item."""
        return self._recommend(tenant, recipe, item_id, None, limit)

    async def for_location(self, tenant: str, location: Location, limit: int) -> EncodedList:
        """Return what is popular in the nearest area that has a list, filled up from larger areas."""
        generation = await self._generation(tenant, POPULARITY)
        catalogue, source = self._catalogues.of(tenant), b""
        items: list[bytes] = []
        excluded: set[str] = set()
        if generation is not None:
            for list_id in location_list_ids(*location):
                lookup = await self._lists.look_up(tenant, generation, POPULARITY, list_id, None)
                items += catalogue.encode(lookup.items, excluded, limit - len(items), POPULARITY)
                source = source or (lookup.source if items else b"")
                if len(items) == limit:
                    return _counted(items, source, generation)
                excluded |= {item_id for item_id, _ in lookup.items}
        everywhere, newest = await self._popularity.get(tenant, GLOBAL_LIST_ID)
        items += catalogue.encode(everywhere, excluded, limit - len(items), POPULARITY)
        return _counted(items, source or POPULAR, generation if source else newest)

    def check_strategy(self, tenant: str, strategy: str | None, default: str) -> str:
        """Return the recipe to answer by: `strategy` if it is given, else `default`.

        Raise ApiError (400) if the tenant has no such recipe, or it cannot answer this kind of request.
        """
        if strategy is None or strategy == default:
            return default
        suitable: Sequence[str] = BY_ITEM if default == SIMILAR else BY_USER
        additional = set(self._active.of(tenant).generations) - {*BY_ITEM, *BY_USER}
        if strategy in suitable or strategy in additional:
            return strategy
        available = ", ".join([*suitable, *sorted(additional)])
        raise ApiError(
            400, "UnknownStrategy", f"There is no strategy {strategy!r} here; there are: {available}."
        )

    async def _generation(self, tenant: str, recipe: str) -> int | None:
        activation = self._active.of(tenant)
        if not activation.number:
            await self._activations.look_up(tenant)
            activation = self._active.of(tenant)
        return activation.generations.get(recipe)

    async def user_list(self, tenant: str, user_id: str, recipe: str) -> UserList:
        """Return the list of a user, with purchased items and without what would fill it up."""
        return await self._look_up(tenant, recipe, user_id, user_id)

    async def _look_up(self, tenant: str, recipe: str, list_id: str, user_id: str | None) -> UserList:
        # Popularity lists belong to locations, not to users or items.
        generation = None if recipe == POPULARITY else await self._generation(tenant, recipe)
        lookup = await self._lists.look_up(tenant, generation, recipe, list_id, user_id)
        if user_id is None or not lookup.source:
            return UserList(lookup, (), generation)
        overrides = await self._overrides.of_user(tenant, user_id)
        lookup.items = merge(lookup.items, overrides)
        return UserList(lookup, overrides, generation)

    async def _recommend(
        self, tenant: str, recipe: str, list_id: str, user_id: str | None, limit: int
    ) -> EncodedList:
        lookup, overrides, generation = await self._look_up(tenant, recipe, list_id, user_id)
        source, catalogue = lookup.source, self._catalogues.of(tenant)
        if overrides:
            items = encode_merged(catalogue, lookup.items, overrides, lookup.purchased, limit, recipe)
        else:
            items = catalogue.encode(lookup.items, lookup.purchased, limit, recipe)
        if len(items) < limit:
            excluded = lookup.purchased | {list_id} if user_id is None else lookup.purchased
            popular = await self._fill_up(tenant, items, lookup, excluded, limit)
            if popular is not None:
                source, generation = POPULAR, popular.generation
        return _counted(items, source, generation)

    async def _fill_up(
        self, tenant: str, items: list[bytes], lookup: ListLookup, excluded: set[str], limit: int
    ) -> _PopularList | None:
        """Add popular items to a list that is too short; return the popular list if the list was empty.

        Other items for sale follow, unless there is nothing at all to recommend.
        """
        catalogue, was_empty = self._catalogues.of(tenant), not items
        nearest = _PopularList(*await self._popularity.nearest(tenant, lookup.location))
        everywhere, _ = await self._popularity.get(tenant, GLOBAL_LIST_ID)
        excluded = excluded | {item_id for item_id, _ in lookup.items}
        for popular in (nearest.items, everywhere):
            if len(items) < limit:
                items += catalogue.encode(popular, excluded, limit - len(items), POPULARITY)
                excluded |= {item_id for item_id, _ in popular}
        if items and len(items) < limit:
            items += catalogue.encode_any(excluded, limit - len(items))
        return nearest if was_empty else None


def _counted(items: list[bytes], source: bytes, generation: int | None) -> EncodedList:
    _ANSWERS[source].inc()
    return EncodedList(items, source, generation)
