"""Recent events, purchases and properties of users: written by the worker, read for every live score."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from services.recommender.domain.properties import PropertyValue, decode_properties, encode_properties
from services.recommender.store import SQL
from services.recommender.store.keys import history_key, properties_key, purchases_key
from shared.errors import EndcapError

if TYPE_CHECKING:
    from services.recommender.store.guarded_database import GuardedDatabase
    from shared.redis import Multiplexer

HISTORY_LENGTH = 100
"""Events of a subject that are stored, the newest; models hold as many per training user."""

HistoryEntry = tuple[str, str, int]
"""Item id, event type, epoch seconds."""

log = structlog.get_logger()


@dataclass(slots=True)
class Profile:
    """The last events of a subject (item id, event type, epoch seconds), oldest first, and its purchases."""

    history: list[HistoryEntry] = field(default_factory=list)
    purchased: set[str] = field(default_factory=set)

    @property
    def event_count(self) -> int:
        """Return the number of events."""
        return len(self.history)

    @property
    def newest_seconds(self) -> int | None:
        """Return the time of the newest event in epoch seconds; None without events."""
        return self.history[-1][2] if self.history else None


class StoredProfile(Profile):
    """A profile as Redis stores it, newest event first; the events are parsed when they are read.

    Many answers need no more than the time of the newest event. The entries of a session, if any, are joined
    with those of its user; an event that both have counts once.
    """

    __slots__ = ("_entries", "_of_session", "_parsed")

    def __init__(
        self, entries: Sequence[bytes], purchased: set[str], of_session: Sequence[bytes] = ()
    ) -> None:
        self.purchased = purchased
        self._entries = entries
        self._of_session = of_session
        self._parsed: list[HistoryEntry] | None = None

    @property
    def history(self) -> list[HistoryEntry]:
        """Return the newest events, oldest first; none if an entry is invalid."""
        if self._parsed is None:
            try:
                self._parsed = self._parse()
            except ValueError as error:
                log.warning("profiles.invalid_entry", error=repr(error))
                self._parsed = []
        return self._parsed

    @history.setter
    def history(self, events: list[HistoryEntry]) -> None:
        self._parsed = events

    @property
    def event_count(self) -> int:
        """Return the number of events."""
        if self._parsed is not None:
            return len(self._parsed)
        if not self._of_session:
            return len(self._entries)
        return min(len(self._distinct()), HISTORY_LENGTH)

    @property
    def newest_seconds(self) -> int | None:
        """Return the time of the newest event in epoch seconds; None without events."""
        if self._parsed is None:
            newest = [entries[0] for entries in (self._entries, self._of_session) if entries]
            try:
                return max((int(orjson.loads(entry)[2]) for entry in newest), default=None)
            except ValueError:
                return self.history[-1][2] if self.history else None
        return self._parsed[-1][2] if self._parsed else None

    def _parse(self) -> list[HistoryEntry]:
        if not self._of_session:
            return oldest_first(self._entries)
        events = oldest_first(self._distinct())
        events.sort(key=_seconds)
        return events[-HISTORY_LENGTH:]

    def _distinct(self) -> list[bytes]:
        return [*dict.fromkeys([*self._of_session, *self._entries])]


class NegativeCache:
    """Users without properties in Postgres, for ten seconds.

    Newer properties are not missed meanwhile: they are written to Redis, which is read first.
    """

    TTL_SECONDS = 10.0
    MAX_USERS = 10_000

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._expires_at: dict[tuple[str, str], float] = {}

    def contains(self, user: tuple[str, str]) -> bool:
        """Return whether a (tenant, user id) was added and has not expired."""
        return self._expires_at.get(user, 0.0) > self._clock()

    def add(self, user: tuple[str, str]) -> None:
        """Add a (tenant, user id); the oldest ones go when there are too many."""
        self._expires_at.pop(user, None)
        while len(self._expires_at) >= self.MAX_USERS:
            del self._expires_at[next(iter(self._expires_at))]
        self._expires_at[user] = self._clock() + self.TTL_SECONDS


class Profiles:
    """Reads profiles from Redis, and from Postgres while Redis is unavailable."""

    def __init__(self, redis: Multiplexer, database: GuardedDatabase, purchase_lookback: timedelta) -> None:
        self._redis = redis
        self._database = database
        self._purchase_lookback = purchase_lookback
        self._lookback_seconds = purchase_lookback.total_seconds()
        self._without_properties = NegativeCache()

    async def of(self, tenant: str, subject: str) -> Profile:
        """Return the profile of a user or a session; an empty one if it is unknown or nothing answers."""
        try:
            entries, item_ids = await self._redis.execute(*self.commands(tenant, subject))
            return Profile(oldest_first(entries), {item_id.decode() for item_id in item_ids})
        except (EndcapError, ValueError) as error:
            log.debug("profiles.redis_unavailable", error=repr(error))
        return await self.from_postgres(tenant, subject)

    def commands(self, tenant: str, subject: str) -> list[tuple[str | int, ...]]:
        """Return the commands that read the last events, newest first, and the purchases of a subject."""
        since = int(time.time() - self._lookback_seconds)
        return [
            ("LRANGE", history_key(tenant, subject), 0, HISTORY_LENGTH - 1),
            ("ZRANGEBYSCORE", purchases_key(tenant, subject), since, "+inf"),
        ]

    async def from_postgres(self, tenant: str, subject: str) -> Profile:
        """Return the profile of a subject from Postgres; an empty one if nothing answers."""
        rows = await self._database.fetch(
            *SQL.recent_events(
                tenant=tenant, subject=subject, since=datetime.now(UTC) - self._purchase_lookback
            )
        )
        return Profile(
            [(row["item_id"], row["event_type"], int(row["seconds"])) for row in reversed(rows or [])],
            {row["item_id"] for row in rows or [] if row["event_type"] == "purchase"},
        )

    async def properties(self, tenant: str, user_id: str) -> dict[str, PropertyValue]:
        """Return the properties of a user by the keys of `domain.properties`; {} if nothing answers."""
        try:
            (encoded,) = await self._redis.execute(("GET", properties_key(tenant, user_id)))
            if encoded is not None:
                return decode_properties(encoded)
        except (EndcapError, ValueError) as error:
            log.debug("profiles.redis_unavailable", error=repr(error))
        if self._without_properties.contains((tenant, user_id)):
            return {}
        rows = await self._database.fetch(*SQL.user_properties(tenant=tenant, user_id=user_id))
        if not rows:
            if rows is not None:
                self._without_properties.add((tenant, user_id))
            return {}
        (row,) = rows
        fields = {name: row[name] for name in ("name", "city", "province", "country")}
        return decode_properties(encode_properties(fields, row["attributes"] or {}))


def _seconds(event: HistoryEntry) -> int:
    return event[2]


def oldest_first(entries: Sequence[bytes]) -> list[HistoryEntry]:
    """Parse the stored entries, which are newest first, as one JSON document."""
    parsed: list[list[Any]] = orjson.loads(b"[" + b",".join(reversed(entries)) + b"]")
    return [(item_id, event_type, int(seconds)) for item_id, event_type, seconds, _ in parsed]
