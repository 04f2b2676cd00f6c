"""Recommendations from precomputed lists, encoded as JSON: what the REST API answers without a campaign.

A user with newer events than the lists gets live scores. A list of a user contains the user's overrides. One
that is too short is filled up: with what is popular in the item's category, at the user's location, then
everywhere, and with any items that are for sale.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from services.recommender.domain.catalogue_index import CATEGORY, first_category
from services.recommender.domain.recipes import (
    BY_ITEM,
    BY_USER,
    GLOBAL_LIST_ID,
    POPULARITY,
    SIMILAR,
    location_list_ids,
    split_generation,
)
from services.recommender.metrics import ANSWERS
from services.recommender.serving.live_lists import ServedList
from services.recommender.serving.overrides import encode_merged, merge
from services.recommender.serving.recommendation import MODEL, POPULAR
from services.recommender.store.lists import POSTGRES, REDIS, ListLookup
from services.recommender.store.popularity_lists import PopularList
from shared.errors import ApiError

if TYPE_CHECKING:
    from services.recommender.domain.activations import ActiveGenerations
    from services.recommender.domain.catalogue import ItemScores
    from services.recommender.domain.override import Override
    from services.recommender.serving.live_lists import LiveLists
    from services.recommender.store.activations import ActivationFeed
    from services.recommender.store.catalogues import Catalogues
    from services.recommender.store.lists import Lists, Location
    from services.recommender.store.overrides import Overrides
    from services.recommender.store.popularity_lists import PopularityLists
    from services.recommender.store.stored_generations import StoredGenerations

_ANSWERS = {source: ANSWERS.labels(source.decode()) for source in (REDIS, POSTGRES, POPULAR, MODEL)}


class EncodedList(NamedTuple):
    """Recommended items as JSON objects, their source, and the generation that the list belongs to.

    `scores` is the list from which the items, or the first of them, were selected.
    """

    items: list[bytes]
    source: bytes
    generation: int | None
    scores: ItemScores | None = None


class UserList(NamedTuple):
    """A list with the overrides in it, its generation, and the recipe that chose its items."""

    lookup: ListLookup
    overrides: Sequence[Override]
    generation: int | None
    algorithm: str


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
        live: LiveLists,
        stored: StoredGenerations,
    ) -> None:
        self._lists = lists
        self._popularity = popularity
        self._catalogues = catalogues
        self._active = active
        self._activations = activations
        self._overrides = overrides
        self._live = live
        self._stored = stored

    def for_user(
        self, tenant: str, user_id: str, limit: int, recipe: str, read: ServedList | None = None
    ) -> Coroutine[Any, Any, EncodedList]:
        """Return items for a user, without recent purchases; live scores if the user has newer events.

        `read` is the user's list of the recipe if it was looked up before.
        """
        return self._recommend(tenant, recipe, user_id, user_id, limit, read)

    async def for_visitor(self, tenant: str, user_id: str | None, session_id: str, limit: int) -> EncodedList:
        """Return items for a user with a session, or for a guest, by the events of both."""
        await self._generation(tenant, POPULARITY)
        served = await self._live.of_visitor(tenant, user_id, session_id, limit)
        listed = await self._with_overrides(tenant, user_id, served)
        return await self._filled_up(tenant, listed, self._encoded(tenant, listed, limit), limit)

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
        name, _ = split_generation(strategy)
        suitable: Sequence[str] = BY_ITEM if default == SIMILAR else BY_USER
        additional = set(self._active.of(tenant).generations) - {*BY_ITEM, *BY_USER}
        if name in suitable or name in additional:
            return strategy
        available = ", ".join([*suitable, *sorted(additional)])
        raise ApiError(
            400, "UnknownStrategy", f"There is no strategy {strategy!r} here; there are: {available}."
        )

    async def _check_generation(self, tenant: str, recipe: str, generation: int) -> None:
        """Raise ApiError (400) for a generation that is not stored, or not any more."""
        if recipe == POPULARITY or not await self._stored.has(tenant, generation):
            detail = f"There are no lists of {recipe!r} of generation {generation} here (any more)."
            raise ApiError(400, "UnknownStrategy", detail)

    async def _generation(self, tenant: str, recipe: str) -> int | None:
        activation = self._active.of(tenant)
        if not activation.number:
            await self._activations.look_up(tenant)
            activation = self._active.of(tenant)
        return activation.generations.get(recipe)

    async def user_list(self, tenant: str, user_id: str, recipe: str, count: int) -> UserList:
        """Return the list of a user, with purchased items and without what would fill it up.

        Live scores are at least `count` items, if the model has so many.
        """
        return await self._look_up(tenant, recipe, user_id, user_id, count)

    async def _look_up(
        self,
        tenant: str,
        recipe: str,
        list_id: str,
        user_id: str | None,
        count: int,
        read: ServedList | None = None,
    ) -> UserList:
        activation = self._active.of(tenant)
        if not activation.number:
            await self._activations.look_up(tenant)
            activation = self._active.of(tenant)
        # Popularity lists belong to locations, not to users or items.
        name, pinned = split_generation(recipe)
        if pinned is not None:
            await self._check_generation(tenant, name, pinned)
        generation = pinned or (None if name == POPULARITY else activation.generations.get(name))
        may_be_live = user_id is not None and self._live.may_replace(tenant, recipe)
        if read is None:
            lookup = await self._lists.look_up(
                tenant,
                generation,
                name,
                list_id,
                user_id,
                with_newest_event=may_be_live,
                overlay=None if pinned else activation.overlays.get(name),
            )
            if lookup.overlay is not None:
                generation = lookup.overlay.generation
        else:
            lookup, generation, _ = read
        if may_be_live:
            live = await self._live.of_user(tenant, list_id, lookup, count)
            if live is not None:
                return await self._with_overrides(tenant, user_id, live)
        if user_id is None or not self._overrides.has_any(tenant):
            return UserList(lookup, (), generation, recipe)
        return await self._with_overrides(tenant, user_id, ServedList(lookup, generation, recipe))

    async def _with_overrides(self, tenant: str, user_id: str | None, served: ServedList) -> UserList:
        lookup, generation, algorithm = served
        if user_id is None or not lookup.source:
            return UserList(lookup, (), generation, algorithm)
        overrides = await self._overrides.of_user(tenant, user_id)
        lookup.items = merge(lookup.items, overrides)
        return UserList(lookup, overrides, generation, algorithm)

    async def _recommend(
        self,
        tenant: str,
        recipe: str,
        list_id: str,
        user_id: str | None,
        limit: int,
        read: ServedList | None = None,
    ) -> EncodedList:
        listed = await self._look_up(tenant, recipe, list_id, user_id, limit, read)
        items = self._encoded(tenant, listed, limit)
        if len(items) == limit:
            lookup = listed.lookup
            return _counted(items, lookup.source, listed.generation, lookup.items)
        return await self._filled_up(tenant, listed, items, limit, list_id if user_id is None else None)

    def _encoded(self, tenant: str, listed: UserList, limit: int) -> list[bytes]:
        """Return the items of a list, which may be too few."""
        lookup, overrides, _, algorithm = listed
        catalogue = self._catalogues.of(tenant)
        if overrides:
            return encode_merged(catalogue, lookup.items, overrides, lookup.purchased, limit, algorithm)
        return catalogue.encode(lookup.items, lookup.purchased, limit, algorithm)

    async def _filled_up(
        self, tenant: str, listed: UserList, items: list[bytes], limit: int, item_id: str | None = None
    ) -> EncodedList:
        """Return the items of a list and what fills it up; `item_id` is the item that it belongs to."""
        lookup, _, generation, _ = listed
        source = lookup.source
        if len(items) < limit:
            excluded = lookup.purchased if item_id is None else lookup.purchased | {item_id}
            popular = await self._fill_up(tenant, items, lookup, excluded, limit, item_id)
            if popular is not None:
                source, generation = POPULAR, popular.generation
        return _counted(items, source, generation, lookup.items)

    async def _fill_up(
        self,
        tenant: str,
        items: list[bytes],
        lookup: ListLookup,
        excluded: set[str],
        limit: int,
        item_id: str | None = None,
    ) -> PopularList | None:
        """Add popular items to a list that is too short; return the popular list if the list was empty.

        Other items for sale follow, unless there is nothing at all to recommend.
        """
        catalogue, was_empty = self._catalogues.of(tenant), not items
        category = None if item_id is None else first_category(catalogue.property_value(item_id, CATEGORY))
        chain = await self._popularity.chain(tenant, category, lookup.location)
        excluded = excluded | {listed for listed, _ in lookup.items}
        for popular in chain:
            if len(items) < limit:
                items += catalogue.encode(popular.items, excluded, limit - len(items), POPULARITY)
                excluded |= {listed for listed, _ in popular.items}
        if items and len(items) < limit:
            items += catalogue.encode_any(excluded, limit - len(items))
        return next((each for each in chain if each.items), chain[-1]) if was_empty else None


def count_answer(source: bytes) -> None:
    """Count an answer from lists."""
    _ANSWERS[source].inc()


def _counted(
    items: list[bytes], source: bytes, generation: int | None, scores: ItemScores | None = None
) -> EncodedList:
    count_answer(source)
    return EncodedList(items, source, generation, scores)
