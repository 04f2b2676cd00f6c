"""Read several lists, with the events of a visitor, in one round trip to Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from services.recommender.store.keys import filled_key, list_key
from services.recommender.store.lists import REDIS
from shared.errors import EndcapError

if TYPE_CHECKING:
    from services.recommender.domain.activations import ActiveGenerations
    from services.recommender.domain.catalogue import ItemScores
    from services.recommender.store.activations import ActivationFeed
    from services.recommender.store.lists import Lists
    from shared.redis import Multiplexer

ListKey = tuple[str, str]
"""A recipe, and the id of one of its lists."""


@dataclass(slots=True)
class StoredList:
    """A list of a recipe; `items` is empty if there is none, `source` if nothing answered."""

    items: ItemScores = field(default_factory=list)
    source: bytes = b""
    generation: int | None = None


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
        except EndcapError:
            return await batch.from_postgres(self._lists, batch.generations)
        return await batch.parse(replies, self._lists)

    async def batch(self, tenant: str, keys: Iterable[ListKey]) -> ListBatch:
        """Return the commands that read the lists."""
        activation = self._active.of(tenant)
        if not activation.number:
            await self._activations.look_up(tenant)
            activation = self._active.of(tenant)
        active = activation.generations
        return ListBatch(tenant, {key: active[key[0]] for key in keys if key[0] in active})


@dataclass(frozen=True, slots=True)
class ListBatch:
    """Lists to read: the generation of each."""

    tenant: str
    generations: dict[ListKey, int]

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Return a command per list, and one per generation: whether Redis has all of its lists."""
        tenant, generations = self.tenant, self.generations
        commands = [
            ("GET", list_key(tenant, generation, recipe, list_id))
            for (recipe, list_id), generation in generations.items()
        ]
        commands += [("EXISTS", filled_key(tenant, number)) for number in self._distinct()]
        return commands

    async def parse(self, replies: Sequence[Any], lists: Lists) -> StoredLists:
        """Return the lists from the replies to `commands`; those that Redis lacks come from Postgres."""
        stored: StoredLists = {}
        missing: dict[ListKey, int] = {}
        filled = dict(zip(self._distinct(), replies[len(self.generations) :], strict=True))
        for (key, generation), value in zip(self.generations.items(), replies, strict=False):
            if value is not None:
                stored[key] = StoredList(orjson.loads(value), REDIS, generation)
            elif filled[generation]:
                stored[key] = StoredList([], REDIS, generation)
            else:
                missing[key] = generation
        if missing:
            stored |= await self.from_postgres(lists, missing)
        return stored

    async def from_postgres(self, lists: Lists, generations: dict[ListKey, int]) -> StoredLists:
        """Return the lists with these generations from Postgres."""
        lookups = await asyncio.gather(
            *(
                lists.from_postgres(self.tenant, generation, recipe, list_id, None)
                for (recipe, list_id), generation in generations.items()
            )
        )
        return {
            key: StoredList(lookup.items, lookup.source, generation)
            for (key, generation), lookup in zip(generations.items(), lookups, strict=True)
        }

    def _distinct(self) -> dict[int, None]:
        return dict.fromkeys(self.generations.values())
