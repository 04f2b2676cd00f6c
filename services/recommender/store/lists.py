"""Look up a precomputed list in Redis, then in Postgres, each within its time limit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from services.recommender.store import SQL
from services.recommender.store.keys import (
    filled_key,
    history_key,
    list_key,
    location_key,
    purchases_key,
)
from shared.errors import EndcapError

if TYPE_CHECKING:
    from services.recommender.domain.activations import Overlay
    from services.recommender.domain.catalogue import ItemScores
    from services.recommender.store.guarded_database import GuardedDatabase
    from shared.redis import Multiplexer

REDIS, POSTGRES = b"redis", b"postgres"

INCOMPLETE_SECONDS = 0.25
"""Time for which a generation is assumed to be incomplete in Redis once it was. Arbitrary."""

Location = tuple[str | None, str | None, str | None]
"""City, province, country."""

log = structlog.get_logger()


@dataclass(slots=True)
class ListLookup:
    """A list, its source, and what must be left out of it; `items` is empty if there is no list.

    `source` is empty if neither Redis nor Postgres answered.
    """

    items: ItemScores = field(default_factory=list)
    purchased: set[str] = field(default_factory=set)
    source: bytes = b""
    location: Location | None = None
    newest_event_seconds: float | None = None
    """The time of the user's newest event; None if it was not requested, or there is none in Redis."""
    overlay: Overlay | None = None
    """The overlay that the list is from; None if it is from the generation itself."""


class Lists:
    """The lists of generations, together with the purchases of the user they are for."""

    def __init__(self, redis: Multiplexer, database: GuardedDatabase, purchase_lookback: timedelta) -> None:
        """Return purchases of the last `purchase_lookback`."""
        self._redis = redis
        self._database = database
        self._purchase_lookback = purchase_lookback
        self._lookback_seconds = purchase_lookback.total_seconds()
        self._incomplete: tuple[tuple[str, int] | None, float] = (None, 0.0)
        """The (tenant, generation) of which Redis lacked lists last, and until when that is assumed."""

    async def look_up(
        self,
        tenant: str,
        generation: int | None,
        recipe: str,
        list_id: str,
        user_id: str | None,
        *,
        with_newest_event: bool = False,
        overlay: Overlay | None = None,
    ) -> ListLookup:
        """Return a list of a recipe, and what a user purchased; without a generation there is no list.

        It takes one round trip to Redis when the list is there, `with_newest_event` of the user included. A
        list of the `overlay` of the generation comes before that of the generation.
        """
        try:
            if generation is None:
                return await self._purchases_only(tenant, user_id, with_newest_event)
            if overlay is not None:
                return await self._overlaid(
                    tenant, generation, recipe, list_id, user_id, with_newest_event, overlay
                )
            command = ("GET", list_key(tenant, generation, recipe, list_id))
            if user_id is None:
                (value,) = await self._redis.execute(command)
                lookup = ListLookup([], set(), REDIS)
            else:
                value, *of_user = await self._redis.execute(
                    command, *self._user_commands(tenant, user_id, with_newest_event)
                )
                lookup = ListLookup([], set(), REDIS)
                _parse_user(lookup, of_user)
            if value is not None:
                lookup.items = orjson.loads(value)
                return lookup
            if await self._is_complete(tenant, generation, user_id, lookup):
                return lookup
        except (EndcapError, ValueError) as error:
            # Whatever is wrong with Redis, Postgres has the same.
            log.debug("lists.redis_unavailable", error=repr(error))
        return await self.from_postgres(tenant, generation, recipe, list_id, user_id, overlay=overlay)

    async def _overlaid(
        self,
        tenant: str,
        generation: int,
        recipe: str,
        list_id: str,
        user_id: str | None,
        with_newest_event: bool,  # noqa: FBT001 - that of `look_up`
        overlay: Overlay,
    ) -> ListLookup:
        """Return what `look_up` does, in the same round trip with one key more."""
        commands: list[tuple[str | int, ...]] = [
            ("GET", list_key(tenant, overlay.generation, recipe, list_id)),
            ("GET", list_key(tenant, generation, recipe, list_id)),
        ]
        if user_id is not None:
            commands += self._user_commands(tenant, user_id, with_newest_event)
        newer, value, *of_user = await self._redis.execute(*commands)
        lookup = ListLookup([], set(), REDIS)
        if user_id is not None:
            _parse_user(lookup, of_user)
        if newer is not None:
            lookup.items, lookup.overlay = orjson.loads(newer), overlay
        elif value is not None:
            lookup.items = orjson.loads(value)
        elif not await self._is_complete(tenant, generation, user_id, lookup):
            return await self.from_postgres(tenant, generation, recipe, list_id, user_id, overlay=overlay)
        return lookup

    def _user_commands(
        self,
        tenant: str,
        user_id: str,
        with_newest_event: bool,  # noqa: FBT001 - that of `look_up`
    ) -> list[tuple[str | int, ...]]:
        since = int(time.time() - self._lookback_seconds)
        commands: list[tuple[str | int, ...]] = [
            ("ZRANGEBYSCORE", purchases_key(tenant, user_id), since, "+inf")
        ]
        if with_newest_event:
            commands.append(("LINDEX", history_key(tenant, user_id), 0))
        return commands

    async def _is_complete(
        self, tenant: str, generation: int, user_id: str | None, lookup: ListLookup
    ) -> bool:
        """Return whether Redis has all lists of the generation; add the user's location to the lookup.

        After Redis lost its data, most requests need no round trip for that.
        """
        key, until = self._incomplete
        if key == (tenant, generation) and time.monotonic() < until:
            return False
        filled, location = await self._redis.execute(
            ("EXISTS", filled_key(tenant, generation)), ("GET", location_key(tenant, user_id or ""))
        )
        lookup.location = location_of(location)
        if not filled:
            self._incomplete = ((tenant, generation), time.monotonic() + INCOMPLETE_SECONDS)
        return bool(filled)

    async def _purchases_only(
        self,
        tenant: str,
        user_id: str | None,
        with_newest_event: bool,  # noqa: FBT001 - that of `look_up`
    ) -> ListLookup:
        lookup = ListLookup(source=REDIS)
        if user_id is not None:
            location, *of_user = await self._redis.execute(
                ("GET", location_key(tenant, user_id)),
                *self._user_commands(tenant, user_id, with_newest_event),
            )
            lookup.location = location_of(location)
            _parse_user(lookup, of_user)
        return lookup

    async def from_postgres(
        self,
        tenant: str,
        generation: int | None,
        recipe: str,
        list_id: str,
        user_id: str | None,
        *,
        overlay: Overlay | None = None,
    ) -> ListLookup:
        """Return what `look_up` does, from Postgres alone; an empty lookup if nothing answers in time."""
        row = await self._database.fetchrow(
            *SQL.list_with_purchases(
                tenant=tenant,
                generation=generation,
                recipe=recipe,
                id=list_id,
                subject=user_id,
                since=datetime.now(UTC) - self._purchase_lookback,
            )
        )
        if row is None:
            return ListLookup()
        location = row["location"]
        lookup = ListLookup(
            row["items"] or [],
            set(row["purchased"]),
            POSTGRES,
            (location[0], location[1], location[2]) if location else None,
        )
        if overlay is not None:
            statement = SQL.overlaid_list(
                tenant=tenant, generation=overlay.generation, recipe=recipe, id=list_id
            )
            newer = await self._database.fetchrow(*statement)
            if newer is not None:
                lookup.items, lookup.overlay = newer["items"], overlay
        return lookup


def _parse_user(lookup: ListLookup, replies: Sequence[Any]) -> None:
    """Set the purchases, and the time of the newest event if it was requested."""
    if item_ids := replies[0]:
        lookup.purchased = {item_id.decode() for item_id in item_ids}
    if len(replies) > 1 and replies[1] is not None:
        lookup.newest_event_seconds = orjson.loads(replies[1])[2]


def location_of(value: bytes | None) -> Location | None:
    """Return the stored location of a user; None if there is none."""
    if value is None:
        return None
    city, province, country = orjson.loads(value)
    return city, province, country
