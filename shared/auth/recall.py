"""What Postgres said about a credential, remembered for a minute, and for longer while Postgres is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import asyncpg
import structlog

from shared.errors import unavailable
from shared.postgres import UNAVAILABLE

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

FRESH_SECONDS = 60.0
UNKNOWN_SECONDS = 5.0
RETRY_SECONDS = 5.0
LOOK_UP_SECONDS = 1.0
AWAY_SECONDS = 1.0
"""How long, after a look-up that failed, others are not tried: they would wait as long for the same."""

MAX_UNKNOWN = 10_000
MAX_RUNNING = 64
"""Look-ups of keys that were never seen, at once: eight for each connection of the default pool."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Entry(Generic[Value]):
    value: Value
    fresh_until: float


class Recall(Generic[Key, Value]):
    """A cache in front of one look-up: known keys 60 s, unknown ones 5 s.

    A key that was seen keeps its answer while Postgres is away; it is asked for again every 5 s. However
    many requests wait for one key, one query runs. After a failure, and while many look-ups run, a key that
    was never seen is a 503 at once.
    """

    def __init__(
        self,
        look_up: Callable[[Key], Awaitable[Value | None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`look_up` returns None for what does not exist; it is given one second."""
        self._look_up = look_up
        self._clock = clock
        self._known: dict[Key, _Entry[Value]] = {}
        self._unknown: dict[Key, float] = {}
        self._running: dict[Key, asyncio.Task[Value | None]] = {}
        self._away_until = 0.0

    def fresh(self, key: Key) -> Value | None:
        """The answer of the last minute, without waiting; None when there is none."""
        entry = self._known.get(key)
        return entry.value if entry is not None and entry.fresh_until > self._clock() else None

    async def get(self, key: Key) -> Value | None:
        """The answer; None for an unknown key. ApiError 503 if it can't be known right now."""
        found, now = self.fresh(key), self._clock()
        if found is not None or self._unknown.get(key, 0.0) > now:
            return found
        task = self._running.get(key)
        if task is None:
            if now < self._away_until or (len(self._running) >= MAX_RUNNING and key not in self._known):
                return self._remembered(key, self._away_until)
            task = self._running[key] = asyncio.create_task(self._ask(key))
            task.add_done_callback(lambda done: self._ended(key, done))
        # One waiter that is cancelled must not take the answer from the others.
        return await asyncio.shield(task)

    def _ended(self, key: Key, task: asyncio.Task[Value | None]) -> None:
        self._running.pop(key, None)
        if not task.cancelled():
            task.exception()  # heard here, in case that nobody waits any more

    def forget(self, key: Key) -> None:
        """Ask again the next time: somebody said that the answer has changed."""
        self._known.pop(key, None)
        self._unknown.pop(key, None)

    async def _ask(self, key: Key) -> Value | None:
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                value = await self._look_up(key)
        except (*UNAVAILABLE, asyncpg.PostgresError) as error:
            log.warning("auth.look_up_failed", error=repr(error), kept=key in self._known)
            now = self._clock()
            self._away_until = now + AWAY_SECONDS
            return self._remembered(key, now + RETRY_SECONDS)
        if value is None:
            self._known.pop(key, None)
            self._remember_unknown(key)
            return None
        self._unknown.pop(key, None)
        self._known[key] = _Entry(value, self._clock() + FRESH_SECONDS)
        return value

    def _remembered(self, key: Key, until: float) -> Value:
        """Return the last answer for a key, which is then fresh `until`; ApiError 503 if there is none."""
        entry = self._known.get(key)
        if entry is None:
            raise unavailable("The database of keys")
        entry.fresh_until = until
        return entry.value

    def _remember_unknown(self, key: Key) -> None:
        self._unknown.pop(key, None)
        while len(self._unknown) >= MAX_UNKNOWN:
            del self._unknown[next(iter(self._unknown))]
        self._unknown[key] = self._clock() + UNKNOWN_SECONDS
