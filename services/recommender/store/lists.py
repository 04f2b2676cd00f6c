"""Look up a precomputed list in Redis, then in Postgres, each within its time limit."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import orjson
import structlog

from services.recommender.store import SQL
from services.recommender.store.keys import filled_key, list_key, location_key, purchases_key
from shared.errors import EndcapError

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import ItemScores
    from services.recommender.store.guarded_database import GuardedDatabase
    from shared.redis import Multiplexer

REDIS, POSTGRES = b"redis", b"postgres"

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


class Lists:
    """The lists of generations, together with the purchases of the user they are for."""

    def __init__(self, redis: Multiplexer, database: GuardedDatabase, purchase_lookback: timedelta) -> None:
        """Return purchases of the last `purchase_lookback`."""
        self._redis = redis
        self._database = database
        self._purchase_lookback = purchase_lookback
        self._lookback_seconds = purchase_lookback.total_seconds()

    async def look_up(
        self, tenant: str, generation: int | None, recipe: str, list_id: str, user_id: str | None
    ) -> ListLookup:
        """Return a list of a recipe, and what a user purchased; without a generation there is no list.

        It takes one round trip to Redis when the list is there.
        """
        lookup = await self._from_redis(tenant, generation, recipe, list_id, user_id)
        if lookup is not None:
            return lookup
        return await self.from_postgres(tenant, generation, recipe, list_id, user_id)

    async def _from_redis(
        self, tenant: str, generation: int | None, recipe: str, list_id: str, user_id: str | None
    ) -> ListLookup | None:
        """Return None if Redis is unavailable, or does not hold all lists of this generation."""
        try:
            if generation is None:
                return await self._purchases_only(tenant, user_id)
            key = list_key(tenant, generation, recipe, list_id)
            if user_id is None:
                (value,) = await self._redis.execute(("GET", key))
                purchased = set()
            else:
                value, item_ids = await self._redis.execute(
                    ("GET", key), self._purchases_command(tenant, user_id)
                )
                purchased = {item_id.decode() for item_id in item_ids}
            if value is not None:
                return ListLookup(orjson.loads(value), purchased, REDIS)
            return await self._missing_list(tenant, generation, user_id, purchased)
        except (EndcapError, ValueError) as error:
            # Whatever is wrong with Redis, Postgres has the same.
            log.debug("lists.redis_unavailable", error=repr(error))
            return None

    def _purchases_command(self, tenant: str, user_id: str) -> tuple[str | int, ...]:
        since = int(time.time() - self._lookback_seconds)
        return ("ZRANGEBYSCORE", purchases_key(tenant, user_id), since, "+inf")

    async def _missing_list(
        self, tenant: str, generation: int, user_id: str | None, purchased: set[str]
    ) -> ListLookup | None:
        """Return an empty list with the user's location; None if the generation is not complete in Redis."""
        filled, location = await self._redis.execute(
            ("EXISTS", filled_key(tenant, generation)), ("GET", location_key(tenant, user_id or ""))
        )
        return ListLookup([], purchased, REDIS, location_of(location)) if filled else None

    async def _purchases_only(self, tenant: str, user_id: str | None) -> ListLookup:
        if user_id is None:
            return ListLookup(source=REDIS)
        item_ids, location = await self._redis.execute(
            self._purchases_command(tenant, user_id), ("GET", location_key(tenant, user_id))
        )
        purchased = {item_id.decode() for item_id in item_ids}
        return ListLookup([], purchased, REDIS, location_of(location))

    async def from_postgres(
        self, tenant: str, generation: int | None, recipe: str, list_id: str, user_id: str | None
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
        return ListLookup(
            row["items"] or [],
            set(row["purchased"]),
            POSTGRES,
            (location[0], location[1], location[2]) if location else None,
        )


def location_of(value: bytes | None) -> Location | None:
    """Return the stored location of a user; None if there is none."""
    if value is None:
        return None
    city, province, country = orjson.loads(value)
    return city, province, country
