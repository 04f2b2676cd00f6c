"""What a subject did lately, in Redis: written by the worker, read for every live score."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from services.recommender.domain.facts import Value, packed, unpacked
from services.recommender.store.keys import bought_key, facts_key, history_key
from services.recommender.store.lists import SQL, Guarded
from shared.errors import EndcapError

if TYPE_CHECKING:
    from shared.redis import Multiplexer

HISTORY = 100
"""How many events of a subject are kept."""

log = structlog.get_logger()


@dataclass(slots=True)
class Profile:
    """A subject's last events, oldest first, as (item, type, epoch seconds), and its purchases."""

    history: list[tuple[str, str, int]] = field(default_factory=list)
    bought: set[str] = field(default_factory=set)


class Absent:
    """Users of whom Postgres said a moment ago that the shop says nothing of them.

    What the shop says since then is in Redis, which is asked first.
    """

    SECONDS = 10.0
    MOST = 10_000

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[tuple[str, str], float] = {}

    def holds(self, who: tuple[str, str]) -> bool:
        """Whether it was said of this user of a tenant lately."""
        return self._until.get(who, 0.0) > self._clock()

    def add(self, who: tuple[str, str]) -> None:
        """Remember it for ten seconds, or until too many others are remembered."""
        self._until.pop(who, None)
        while len(self._until) >= self.MOST:
            del self._until[next(iter(self._until))]
        self._until[who] = self._clock() + self.SECONDS


class Profiles:
    """Reads profiles from Redis, and from Postgres while Redis is away."""

    def __init__(self, redis: Multiplexer, database: Guarded, bought_for: timedelta) -> None:
        self._redis = redis
        self._database = database
        self._bought_for = bought_for
        self._undescribed = Absent()

    async def of(self, tenant: str, subject: str) -> Profile:
        """The profile; an empty one for somebody unknown, or when nobody can tell."""
        since = int(time.time() - self._bought_for.total_seconds())
        try:
            events, bought = await self._redis.execute(
                ("LRANGE", history_key(tenant, subject), 0, HISTORY - 1),
                ("ZRANGEBYSCORE", bought_key(tenant, subject), since, "+inf"),
            )
            return Profile(_oldest_first(events), {item.decode() for item in bought})
        except (EndcapError, ValueError) as error:
            log.debug("profiles.redis_passed_over", error=repr(error))
        rows = await self._database.fetch(
            *SQL.recent(tenant=tenant, subject=subject, since=datetime.now(UTC) - self._bought_for)
        )
        return Profile(
            [(row["item_id"], row["event_type"], int(row["seconds"])) for row in reversed(rows or [])],
            {row["item_id"] for row in rows or [] if row["event_type"] == "purchase"},
        )

    async def facts(self, tenant: str, user: str) -> dict[str, Value]:
        """What the shop says of a user, by the keys of `domain.facts`; nothing when nobody can tell."""
        try:
            (known,) = await self._redis.execute(("GET", facts_key(tenant, user)))
            if known is not None:
                return unpacked(known)
        except (EndcapError, ValueError) as error:
            log.debug("profiles.redis_passed_over", error=repr(error))
        if self._undescribed.holds((tenant, user)):
            return {}
        rows = await self._database.fetch(*SQL.user_facts(tenant=tenant, user_id=user))
        if not rows:
            if rows is not None:
                self._undescribed.add((tenant, user))
            return {}
        (row,) = rows
        fields = {name: row[name] for name in ("name", "city", "province", "country")}
        return unpacked(packed(fields, row["attributes"] or {}))


def _oldest_first(entries: Sequence[bytes]) -> list[tuple[str, str, int]]:
    """The stored entries, which come newest first, parsed at one go."""
    parsed: list[list[Any]] = orjson.loads(b"[" + b",".join(reversed(entries)) + b"]")
    return [(item, kind, int(seconds)) for item, kind, seconds, _ in parsed]
