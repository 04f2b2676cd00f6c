"""Hear of users and sessions whose history changed, while somebody listens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING

import orjson
import structlog

from services.recommender.store.keys import CHANGED_SUBJECTS
from shared.redis import CLIENT_ERRORS, client

if TYPE_CHECKING:
    from shared.settings import RedisSettings

Listener = Callable[[], None]
Subject = tuple[str, str]
"""A tenant, and a user or session."""

RETRY_SECONDS = 1.0
POLL_SECONDS = 1.0
"""Interval of checks whether anybody still listens; arbitrary."""

log = structlog.get_logger()


class SubjectFeed:
    """Subscribes to the announced changes while there are listeners.

    The announcements of all tenants come on one channel; those of tenants without listeners are not parsed.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._listeners: dict[str, dict[str, set[Listener]]] = {}
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.is_subscribed = False
        """True while changes are heard."""

    async def start(self) -> None:
        """Start to wait for listeners."""
        self._task = asyncio.create_task(self._follow(), name="subject-feed")

    async def stop(self) -> None:
        """Unsubscribe."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=5)

    def alive(self) -> str | None:
        """Return why changes are no longer heard; None while they are, or Redis is unavailable."""
        if self._task is not None and self._task.done():
            return "listening to changed histories stopped because of a defect; see the log"
        return None

    def listen(self, tenant: str, subjects: Iterable[str], listener: Listener) -> None:
        """Call `listener` when the history of one of the subjects changes."""
        of_tenant = self._listeners.setdefault(tenant, {})
        for subject in subjects:
            of_tenant.setdefault(subject, set()).add(listener)
        self._wanted.set()

    def forget(self, tenant: str, subjects: Iterable[str], listener: Listener) -> None:
        """Stop calling a listener."""
        of_tenant = self._listeners.get(tenant, {})
        for subject in subjects:
            listeners = of_tenant.get(subject, set())
            listeners.discard(listener)
            if not listeners:
                of_tenant.pop(subject, None)
        if not of_tenant:
            self._listeners.pop(tenant, None)
        if not self._listeners:
            self._wanted.clear()

    async def _follow(self) -> None:
        while True:
            await self._wanted.wait()
            try:
                await self._read()
            except (*CLIENT_ERRORS, OSError, TimeoutError) as error:
                log.warning("changes.redis_unavailable", error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                self.is_subscribed = False

    async def _read(self) -> None:
        """Pass changes on until nobody listens; raise errors of redis-py while Redis is unavailable."""
        async with aclosing(client(self._settings)) as redis, redis.pubsub() as subscription:
            await subscription.subscribe(CHANGED_SUBJECTS)
            while self._listeners:
                message = await subscription.get_message(timeout=POLL_SECONDS)
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    self.is_subscribed = True
                    self._call_all()  # there may have been changes before
                elif message["type"] == "message":
                    self._call(message["data"])

    def _call(self, announcement: bytes) -> None:
        tenant, _, subjects = announcement.partition(b"\n")
        of_tenant = self._listeners.get(tenant.decode())
        if of_tenant is None:
            return
        for subject in of_tenant.keys() & set(orjson.loads(subjects)):
            for listener in of_tenant[subject]:
                listener()

    def _call_all(self) -> None:
        for of_tenant in self._listeners.values():
            for listeners in of_tenant.values():
                for listener in listeners:
                    listener()
