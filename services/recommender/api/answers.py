"""From a question to the bytes of its answer; every REST route ends here, whichever way it came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import orjson

from services.recommender.domain.catalogue import body
from services.recommender.domain.recipes import (
    BY_ITEM,
    BY_USER,
    EVERYBODY,
    POPULARITY,
    SIMILAR,
    USER,
    place_ids,
)
from services.recommender.metrics import ANSWERS
from services.recommender.store.lists import POSTGRES, REDIS, Found
from shared.errors import ApiError

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import Listed
    from services.recommender.domain.pointers import Pointers
    from services.recommender.store.lists import Lists
    from services.recommender.store.popular import Popular
    from services.recommender.store.states import Catalogues, Pointing

POPULAR = b"popular"
MODEL = b"model"

_COUNTED = {source: ANSWERS.labels(source.decode()) for source in (REDIS, POSTGRES, POPULAR, MODEL)}


@dataclass(frozen=True, slots=True)
class Reply:
    """The body of an answer, and what its headers say of it."""

    body: bytes
    source: bytes
    generation: int | None

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Raw headers, the length included."""
        return [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(self.body)),
            (b"x-recs-source", self.source),
            (b"x-recs-generation", b"" if self.generation is None else b"%d" % self.generation),
        ]

    def for_backend(self) -> Reply:
        """Return the same answer with the two fields that backends of shops read first."""
        is_fallback = b"true" if self.source == POPULAR else b"false"
        return replace(self, body=b'{"success":true,"isFallback":%b,%b' % (is_fallback, self.body[1:]))


class Popularity(NamedTuple):
    """What is popular somewhere, and the generation that says so."""

    listed: Listed
    generation: int | None


class Answers:
    """Answers for a user, an item or a place, out of lists."""

    def __init__(
        self,
        lists: Lists,
        popular: Popular,
        catalogues: Catalogues,
        pointers: Pointers,
        pointing: Pointing,
    ) -> None:
        self._lists = lists
        self._popular = popular
        self._catalogues = catalogues
        self._pointers = pointers
        self._pointing = pointing

    async def for_user(self, tenant: str, user_id: str, limit: int, recipe: str = USER) -> Reply:
        """What a user is recommended: nothing that was just bought."""
        subject = b'"user_id":' + orjson.dumps(user_id)
        return await self._listed(tenant, recipe, user_id, user_id, limit, subject)

    async def for_guest(self, tenant: str, limit: int) -> Reply:
        """Return the most popular items, for a visitor without an id."""
        await self._generation(tenant, POPULARITY)
        entries: list[bytes] = []
        popular = await self._fill_up(tenant, entries, Found(), set(), limit)
        return _reply(b'"user_id":null', entries, POPULAR, popular.generation if popular else None)

    async def for_item(self, tenant: str, item_id: str, limit: int, recipe: str = SIMILAR) -> Reply:
        """What is like an item."""
        subject = b'"product_id":' + orjson.dumps(item_id)
        return await self._listed(tenant, recipe, item_id, None, limit, subject)

    async def for_place(
        self, tenant: str, city: str | None, province: str | None, country: str | None, limit: int
    ) -> Reply:
        """What is popular in the nearest of the places given that has a list, else everywhere."""
        given = {"city": city, "province": province, "country": country}
        subject = orjson.dumps({name: place for name, place in given.items() if place})[1:-1]
        generation = await self._generation(tenant, POPULARITY)
        catalogue, source = self._catalogues.of(tenant), b""
        entries: list[bytes] = []
        listed: set[str] = set()
        if generation is not None:
            for identifier in place_ids(city, province, country):
                found = await self._lists.find(tenant, generation, POPULARITY, identifier, None)
                entries += catalogue.entries(found.listed, listed, limit - len(entries), POPULARITY)
                source = source or (found.source if entries else b"")
                if len(entries) == limit:
                    return _reply(subject, entries, source, generation)
                listed |= {item for item, _ in found.listed}
        everywhere, newest = await self._popular.named(tenant, EVERYBODY)
        entries += catalogue.entries(everywhere, listed, limit - len(entries), POPULARITY)
        return _reply(subject, entries, source or POPULAR, generation if source else newest)

    def check_strategy(self, tenant: str, strategy: str | None, usual: str) -> str:
        """The recipe to answer by: the usual one, unless another is named that can; else 400."""
        if strategy is None or strategy == usual:
            return usual
        possible: Sequence[str] = BY_ITEM if usual == SIMILAR else BY_USER
        others = set(self._pointers.of(tenant).generations) - {*BY_ITEM, *BY_USER}
        if strategy in possible or strategy in others:
            return strategy
        existing = ", ".join([*possible, *sorted(others)])
        raise ApiError(
            400, "UnknownStrategy", f"There is no strategy {strategy!r} here; there are: {existing}."
        )

    async def _generation(self, tenant: str, recipe: str) -> int | None:
        pointer = self._pointers.of(tenant)
        if not pointer.activation:
            await self._pointing.ask(tenant)
            pointer = self._pointers.of(tenant)
        return pointer.generations.get(recipe)

    async def _listed(
        self, tenant: str, recipe: str, identifier: str, user_id: str | None, limit: int, subject: bytes
    ) -> Reply:
        if recipe == POPULARITY:
            # What is popular is looked up by place; nobody has a list of their own.
            generation, found = None, await self._lists.find(tenant, None, recipe, identifier, user_id)
        else:
            generation = await self._generation(tenant, recipe)
            found = await self._lists.find(tenant, generation, recipe, identifier, user_id)
        source = found.source
        entries = self._catalogues.of(tenant).entries(found.listed, found.bought, limit, recipe)
        if len(entries) < limit:
            left_out = found.bought | {identifier} if user_id is None else found.bought
            popular = await self._fill_up(tenant, entries, found, left_out, limit)
            if popular is not None:
                source, generation = POPULAR, popular.generation
        return _reply(subject, entries, source, generation)

    async def _fill_up(
        self, tenant: str, entries: list[bytes], found: Found, left_out: set[str], limit: int
    ) -> Popularity | None:
        """Add what is popular to a list that is too short; gives what all is from if there was no list.

        A list that is there ends with anything else that the shop sells, rather than too early.
        """
        catalogue, was_empty = self._catalogues.of(tenant), not entries
        near = Popularity(*await self._popular.near(tenant, found.place))
        everywhere, _ = await self._popular.named(tenant, EVERYBODY)
        listed = left_out | {item for item, _ in found.listed}
        for popular in (near.listed, everywhere):
            if len(entries) < limit:
                entries += catalogue.entries(popular, listed, limit - len(entries), POPULARITY)
                listed |= {item for item, _ in popular}
        if entries and len(entries) < limit:
            entries += catalogue.others(listed, limit - len(entries))
        return near if was_empty else None


def _reply(subject: bytes, entries: list[bytes], source: bytes, generation: int | None) -> Reply:
    _COUNTED[source].inc()
    return Reply(body(subject, entries, source, generation), source, generation)
