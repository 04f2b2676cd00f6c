"""Read several lists, with the events of a visitor, in one round trip to Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from services.recommender.domain.recipes import split_generation
from services.recommender.store.keys import filled_key, list_key
from services.recommender.store.lists import REDIS
from shared.errors import EndcapError

if TYPE_CHECKING:
    from services.recommender.domain.activations import Activation, ActiveGenerations, Overlay
    from services.recommender.domain.catalogue import ItemScores
    from services.recommender.store.activations import ActivationFeed
    from services.recommender.store.lists import Lists
    from shared.redis import Multiplexer

ListKey = tuple[str, str]
"""A recipe, or `recipe@17` for its lists of that generation, and the id of one of its lists."""


@dataclass(slots=True)
class StoredList:
    """A list of a recipe; `items` is empty if there is none, `source` if nothing answered.

    `overlay` is that of the active generation, if the list is from it.
    """

    items: ItemScores = field(default_factory=list)
    source: bytes = b""
    generation: int | None = None
    overlay: Overlay | None = None


StoredLists = dict[ListKey, StoredList]


class ListBatches:
    """Reads lists of the active generations: from Redis, and from Postgres those that Redis lacks."""

    def __init__(
        self, redis: Multiplexer, lists: Lists, active: ActiveGenerations, activations: ActivationFeed
    ) -> None:
        self._redis = redis
        self._lists = lists
        self._active = active
        self._activations = activations

    async def read(self, tenant: str, keys: Iterable[ListKey]) -> StoredLists:
        """Return the lists by key; a recipe without an active generation has none."""
        batch = await self.batch(tenant, keys)
        if not batch.commands:
            return {}
        try:
            replies = await self._redis.execute(*batch.commands)
            stored, missing = batch.parse(replies)
            return stored | await batch.from_postgres(self._lists, missing) if missing else stored
        except (EndcapError, ValueError):
            return await batch.from_postgres(self._lists)

    async def batch(self, tenant: str, keys: Iterable[ListKey]) -> ListBatch:
        """Return the commands that read the lists."""
        batch = self.known_batch(tenant, keys)
        if batch is None:
            await self._activations.look_up(tenant)
            batch = ListBatch(tenant, self._active.of(tenant), keys)
        return batch

    def known_batch(self, tenant: str, keys: Iterable[ListKey]) -> ListBatch | None:
        """Return the commands that read the lists if the tenant's generations are in memory."""
        activation = self._active.of(tenant)
        return ListBatch(tenant, activation, keys) if activation.number else None


class ListBatch:
    """Lists to read, each of the active generation of its recipe.

    `commands` has one per list, one per list that may be in an overlay, then one per generation: whether
    Redis has all of its lists.
    """

    __slots__ = ("_filled", "_overlays", "commands", "generations", "tenant")

    def __init__(self, tenant: str, active: Activation, keys: Iterable[ListKey]) -> None:
        """Leave out the lists of recipes without an active generation."""
        self.tenant = tenant
        self.generations: dict[ListKey, int] = {}
        self._overlays: dict[ListKey, Overlay] = {}
        self.commands: list[tuple[str, ...]] = []
        for key in keys:
            recipe, list_id = key
            name, pinned = split_generation(recipe)
            generation = active.generations.get(name) if pinned is None else pinned
            if generation is not None and key not in self.generations:
                self.generations[key] = generation
                self.commands.append(("GET", list_key(tenant, generation, name, list_id)))
                if pinned is None and name in active.overlays:
                    self._overlays[key] = active.overlays[name]
        self.commands += [
            ("GET", list_key(tenant, overlay.generation, recipe, list_id))
            for (recipe, list_id), overlay in self._overlays.items()
        ]
        self._filled = dict.fromkeys(self.generations.values())
        self.commands += [("EXISTS", filled_key(tenant, generation)) for generation in self._filled]

    def parse(self, replies: Sequence[Any]) -> tuple[StoredLists, Mapping[ListKey, int]]:
        """Return the lists from the replies to `commands`, and the generations of those that Redis lacks."""
        stored: StoredLists = {}
        missing: dict[ListKey, int] = {}
        for number, (key, generation) in enumerate(self.generations.items()):
            value = replies[number]
            if value is not None:
                stored[key] = StoredList(orjson.loads(value), REDIS, generation)
            elif self._is_filled(generation, replies):
                stored[key] = StoredList([], REDIS, generation)
            else:
                missing[key] = generation
        for number, (key, overlay) in enumerate(self._overlays.items(), start=len(self.generations)):
            if replies[number] is not None:
                missing.pop(key, None)
                items = orjson.loads(replies[number])
                stored[key] = StoredList(items, REDIS, overlay.generation, overlay)
        return stored, missing

    async def from_postgres(
        self, lists: Lists, generations: Mapping[ListKey, int] | None = None
    ) -> StoredLists:
        """Return all lists from Postgres, or those of `generations`."""
        selected = self.generations if generations is None else generations
        lookups = await asyncio.gather(
            *(
                lists.from_postgres(
                    *(self.tenant, generation, split_generation(key[0])[0], key[1], None),
                    overlay=self._overlays.get(key),
                )
                for key, generation in selected.items()
            )
        )
        return {
            key: StoredList(
                lookup.items,
                lookup.source,
                lookup.overlay.generation if lookup.overlay else generation,
                lookup.overlay,
            )
            for (key, generation), lookup in zip(selected.items(), lookups, strict=True)
        }

    def _is_filled(self, generation: int, replies: Sequence[Any]) -> bool:
        first = len(self.generations) + len(self._overlays)
        return bool(replies[first + list(self._filled).index(generation)])
