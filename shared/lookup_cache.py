"""A cache in front of a query, which keeps its last answers while the database can't be reached."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import asyncpg
import structlog

from shared.errors import unavailable
from shared.postgres import UNAVAILABLE

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

FRESH_SECONDS: Final = 60.0
"""Time that a value counts as current: a revoked key works for a minute at most; arbitrary."""

UNKNOWN_SECONDS: Final = 5.0
"""Time that an unknown key is refused without a query: a new key works within 5 s; arbitrary."""

RETRY_SECONDS: Final = 5.0
"""Time that the last value counts as current after a failed query, before the next one; arbitrary."""

LOOK_UP_SECONDS: Final = 1.0
"""Default of the time that a query may take; arbitrary, and shorter than a client's patience."""

UNAVAILABLE_SECONDS: Final = 1.0
"""Time that keys without a value are refused after a failed query, since theirs would fail too."""

MAX_UNKNOWN: Final = 10_000
"""Unknown keys that are remembered, so that guesses don't fill the memory; arbitrary."""

MAX_RUNNING: Final = 64
"""Concurrent queries for keys without a value: eight for each connection of the default pool."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Entry(Generic[Value]):
    value: Value
    fresh_until: float


class LookupCache(Generic[Key, Value]):
    """Caches the results of one query: values for 60 s, the absence of a value for 5 s.

    While Postgres can't be reached, a cached value stays valid, and its query is repeated every 5 s; a key
    without a value raises ApiError 503 at once. Concurrent requests for one key share one query.
    """

    def __init__(
        self,
        look_up: Callable[[Key], Awaitable[Value | None]],
        clock: Callable[[], float] = time.monotonic,
        look_up_seconds: float = LOOK_UP_SECONDS,
    ) -> None:
        """`look_up` returns None for a key that does not exist, and is cancelled after `look_up_seconds`.

        `clock` returns seconds and never goes back.
        """
        self._look_up = look_up
        self._clock = clock
        self._look_up_seconds = look_up_seconds
        self._entries: dict[Key, _Entry[Value]] = {}
        self._unknown: dict[Key, float] = {}
        self._running: dict[Key, asyncio.Task[Value | None]] = {}
        self._unavailable_until = 0.0

    def fresh(self, key: Key) -> Value | None:
        """Return the value of a key without waiting; None if it is not cached or older than a minute."""
        entry = self._entries.get(key)
        return entry.value if entry is not None and entry.fresh_until > self._clock() else None

    async def get(self, key: Key) -> Value | None:
        """Return the value of a key; None if the key does not exist.

        Raises ApiError 503 if there is no cached value and Postgres can't be asked.
        """
        value, now = self.fresh(key), self._clock()
        if value is not None or self._unknown.get(key, 0.0) > now:
            return value
        task = self._running.get(key)
        if task is None:
            is_full = len(self._running) >= MAX_RUNNING and key not in self._entries
            if now < self._unavailable_until or is_full:
                return self._last_value(key, self._unavailable_until)
            task = self._running[key] = asyncio.create_task(self._refresh(key))
            task.add_done_callback(lambda done: self._ended(key, done))
        # A caller that is cancelled must not cancel the query of the others.
        return await asyncio.shield(task)

    def _ended(self, key: Key, task: asyncio.Task[Value | None]) -> None:
        self._running.pop(key, None)
        if not task.cancelled():
            task.exception()  # marked as retrieved, in case every caller was cancelled

    def forget(self, key: Key) -> None:
        """Drop what is cached of a key whose value has changed."""
        self._entries.pop(key, None)
        self._unknown.pop(key, None)

    async def _refresh(self, key: Key) -> Value | None:
        try:
            async with asyncio.timeout(self._look_up_seconds):
                value = await self._look_up(key)
        except (*UNAVAILABLE, asyncpg.PostgresError) as error:
            log.warning("lookup_cache.query_failed", error=repr(error), cached=key in self._entries)
            now = self._clock()
            self._unavailable_until = now + UNAVAILABLE_SECONDS
            return self._last_value(key, now + RETRY_SECONDS)
        if value is None:
            self._entries.pop(key, None)
            self._remember_unknown(key)
            return None
        self._unknown.pop(key, None)
        self._entries[key] = _Entry(value, self._clock() + FRESH_SECONDS)
        return value

    def _last_value(self, key: Key, fresh_until: float) -> Value:
        """Return the last value of a key and let it count as current; ApiError 503 if there is none."""
        entry = self._entries.get(key)
        if entry is None:
            raise unavailable("The database")
        entry.fresh_until = fresh_until
        return entry.value

    def _remember_unknown(self, key: Key) -> None:
        self._unknown.pop(key, None)
        while len(self._unknown) >= MAX_UNKNOWN:
            del self._unknown[next(iter(self._unknown))]
        self._unknown[key] = self._clock() + UNKNOWN_SECONDS
