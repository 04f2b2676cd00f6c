"""Finding a list: Redis, then Postgres, each within its time; what is popular is the caller's last resort."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson
import structlog

from services.recommender.store.keys import bought_key, filled_key, list_key, place_key
from shared.errors import EndcapError
from shared.postgres import statements

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import Listed
    from shared.postgres import Database
    from shared.redis import Multiplexer

SQL = statements(Path(__file__).parents[1] / "queries.sql")
REDIS, POSTGRES = b"redis", b"postgres"

Place = tuple[str | None, str | None, str | None]
"""City, province, country."""

log = structlog.get_logger()


@dataclass(slots=True)
class Found:
    """A list, where it came from, and what must be left out of it. No list: `listed` is empty."""

    listed: Listed = field(default_factory=list)
    bought: set[str] = field(default_factory=set)
    source: bytes = b""
    place: Place | None = None


class Lists:
    """The lists of generations, with the purchases of who asks."""

    def __init__(self, redis: Multiplexer, database: Guarded, bought_for: timedelta) -> None:
        """`bought_for` is how far back purchases count."""
        self._redis = redis
        self._database = database
        self._bought_for = bought_for
        self._bought_seconds = bought_for.total_seconds()

    async def find(
        self, tenant: str, generation: int | None, recipe: str, identifier: str, subject: str | None
    ) -> Found:
        """The list of a recipe, and what `subject` (a user, or nobody) bought.

        One round trip to Redis when the list is there. Without a generation there is no list to find.
        """
        found = await self._in_redis(tenant, generation, recipe, identifier, subject)
        if found is not None:
            return found
        return await self._in_postgres(tenant, generation, recipe, identifier, subject)

    async def _in_redis(
        self, tenant: str, generation: int | None, recipe: str, identifier: str, subject: str | None
    ) -> Found | None:
        """None when Redis can't tell: it is away, or has not got all lists of this generation."""
        try:
            if generation is None:
                return await self._without_list(tenant, subject)
            key = list_key(tenant, generation, recipe, identifier)
            if subject is None:
                (value,) = await self._redis.execute(("GET", key))
                bought = set()
            else:
                value, items = await self._redis.execute(("GET", key), self._purchases(tenant, subject))
                bought = {item.decode() for item in items}
            if value is not None:
                return Found(orjson.loads(value), bought, REDIS)
            return await self._missing(tenant, generation, subject, bought)
        except (EndcapError, ValueError) as error:
            # Whatever is wrong with Redis, there is another source.
            log.debug("lists.redis_passed_over", error=repr(error))
            return None

    def _purchases(self, tenant: str, subject: str) -> tuple[str | int, ...]:
        since = int(time.time() - self._bought_seconds)
        return ("ZRANGEBYSCORE", bought_key(tenant, subject), since, "+inf")

    async def _missing(
        self, tenant: str, generation: int, subject: str | None, bought: set[str]
    ) -> Found | None:
        """A list that a whole generation lacks exists nowhere; ask for the user's place along with that."""
        filled, place = await self._redis.execute(
            ("EXISTS", filled_key(tenant, generation)), ("GET", place_key(tenant, subject or ""))
        )
        return Found([], bought, REDIS, _place(place)) if filled else None

    async def _without_list(self, tenant: str, subject: str | None) -> Found:
        if subject is None:
            return Found(source=REDIS)
        items, place = await self._redis.execute(
            self._purchases(tenant, subject), ("GET", place_key(tenant, subject))
        )
        return Found([], {item.decode() for item in items}, REDIS, _place(place))

    async def _in_postgres(
        self, tenant: str, generation: int | None, recipe: str, identifier: str, subject: str | None
    ) -> Found:
        row = await self._database.fetchrow(
            *SQL.listed(
                tenant=tenant,
                generation=generation,
                recipe=recipe,
                id=identifier,
                subject=subject,
                since=datetime.now(UTC) - self._bought_for,
            )
        )
        if row is None:
            return Found()
        place = row["place"]
        return Found(
            row["items"] or [],
            set(row["bought"]),
            POSTGRES,
            (place[0], place[1], place[2]) if place else None,
        )


def _place(value: bytes | None) -> Place | None:
    if value is None:
        return None
    city, province, country = orjson.loads(value)
    return city, province, country


class Guarded:
    """Postgres for requests that can't wait: a time limit that holds, and a breaker.

    A query that takes too long is left to itself, because taking it back from a frozen server waits for
    that server. After `TRIPS_AT` failures in a row Postgres is left alone for a second.
    """

    TRIPS_AT = 3
    REST_SECONDS = 1.0

    def __init__(self, database: Database, seconds: float) -> None:
        """Give each query `seconds`."""
        self._database = database
        self._seconds = seconds
        self._failures = 0
        self._rests_until = 0.0
        self._running: set[asyncio.Task[Any]] = set()

    async def fetchrow(self, text: str, *arguments: Any) -> asyncpg.Record | None:
        """One row; None also when Postgres is away or too slow, which is logged and counted."""
        rows = await self.fetch(text, *arguments)
        return rows[0] if rows else None

    async def fetch(self, text: str, *arguments: Any) -> list[asyncpg.Record] | None:
        """All rows; None when Postgres is away or too slow, or refuses an argument, which is no failure."""
        now = time.monotonic()
        if now < self._rests_until:
            return None
        task = asyncio.ensure_future(self._database.fetch(text, *arguments))
        self._running.add(task)
        task.add_done_callback(self._ended)
        done, _ = await asyncio.wait({task}, timeout=self._seconds)
        if done and not task.cancelled() and task.exception() is None:
            self._failures = 0
            return task.result()
        if done and not task.cancelled() and isinstance(task.exception(), asyncpg.DataError):
            return None
        self._failures += 1
        if self._failures >= self.TRIPS_AT:
            self._rests_until = time.monotonic() + self.REST_SECONDS
        if not done:
            task.cancel()
            log.warning("postgres.too_slow", seconds=self._seconds)
        return None

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        if error := task.exception():
            log.warning("postgres.passed_over", error=repr(error))
