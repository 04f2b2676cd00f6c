"""Erase users: histories, purchases, impressions, links of sessions, locations, properties and overrides."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from services.recommender.domain.erased_users import subjects_of
from services.recommender.store import SQL
from services.recommender.store.keys import erased_key, overrides_key, subjects_key
from services.recommender.store.scripts import MARK, call
from services.recommender.store.user_keys import KEYS_PER_COMMAND, user_keys
from shared.events import UserErased, UserErasureRequested
from shared.events.topics import ERASURE_RECEIPTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

    from services.recommender.domain.erased_users import ErasedUsers
    from shared.events import InteractionRecorded
    from shared.events.servings import Serving
    from shared.kafka import Publisher
    from shared.postgres import Database
    from shared.redis import Multiplexer

PUBLISH_TIMEOUT_SECONDS = 10.0
RECENT_SECONDS = 1_800.0
"""Age up to which an event needs no look-up: `ErasedUsers` knows an erasure for an hour after its end."""


class ErasureMarks:
    """The times up to which users and sessions were erased, for longer than the erasure is in progress.

    servings-v1 keeps answers longer, which may be looked up; and interactions-v1 keeps events, which may be
    read again.
    """

    def __init__(self, redis: Multiplexer, kept: timedelta) -> None:
        self._redis = redis
        self.kept = kept

    async def set(self, times: Mapping[tuple[str, str], float]) -> None:
        """Mark subjects, (tenant, user or session), as erased up to these times in seconds since 1970.

        A later time that a subject has remains. Raise Transient without Redis.
        """
        expired = time.time() - self.kept.total_seconds()
        calls = [
            ("EVALSHA", MARK.sha1, 1, erased_key(*subject), f"{until:.6f}", math.ceil(until - expired))
            for subject, until in times.items()
            if until > expired
        ]
        for begin in range(0, len(calls), KEYS_PER_COMMAND):
            await call(self._redis, calls[begin : begin + KEYS_PER_COMMAND])

    async def erased_until(self, tenant: str, subjects: Sequence[str]) -> float:
        """Return the latest of their times in seconds since 1970, 0 without one.

        Raise Transient without Redis.
        """
        times = await self._times((tenant, subject) for subject in subjects)
        return max(times.values(), default=0.0)

    async def without_erased(self, events: list[InteractionRecorded]) -> list[InteractionRecorded]:
        """Return the events without those of subjects that were erased after them, by their marks.

        Only events are looked up that are so old that `ErasedUsers` may no longer know an erasure after them:
        of a topic that is read again, of dead letters and imports. Raise Transient without Redis.
        """
        oldest = time.time() - RECENT_SECONDS
        old = [event for event in events if event.happened_by.timestamp() < oldest]
        times = await self._times((event.tenant, subject) for event in old for subject in subjects_of(event))
        if not times:
            return events

        def erased_until(event: InteractionRecorded) -> float:
            return max(times.get((event.tenant, subject), 0.0) for subject in subjects_of(event))

        return [event for event in events if event.happened_by.timestamp() > erased_until(event)]

    async def _times(self, subjects: Iterable[tuple[str, str]]) -> dict[tuple[str, str], float]:
        """Return the times of those subjects, (tenant, user or session), that have a mark."""
        names = sorted(set(subjects))
        times: dict[tuple[str, str], float] = {}
        for begin in range(0, len(names), KEYS_PER_COMMAND):
            part = names[begin : begin + KEYS_PER_COMMAND]
            values = await self._redis.execute(*(("GET", erased_key(*name)) for name in part))
            times |= {
                name: float(value) for name, value in zip(part, values, strict=True) if value is not None
            }
        return times


class ErasedServings:
    """Says which servings are of users who were erased after them, or are being erased."""

    def __init__(self, erased_users: ErasedUsers, marks: ErasureMarks) -> None:
        self._erased_users = erased_users
        self._marks = marks

    async def contains(self, tenant: str, serving: Serving) -> bool:
        """Return whether the user or the session of a serving was erased; raise Transient without Redis."""
        subjects = [subject for subject in (serving.user_id, serving.session_id) if subject is not None]
        erased_at = self._erased_users.erased_until(tenant, subjects)
        if not erased_at and subjects:
            erased_at = await self._marks.erased_until(tenant, subjects)
        return serving.served_at.timestamp() <= erased_at


class Erasures:
    """Deletes the data of users and of their sessions; repeating it deletes nothing more."""

    def __init__(
        self, redis: Multiplexer, database: Database, publisher: Publisher, marks: ErasureMarks
    ) -> None:
        self._redis = redis
        self._database = database
        self._publisher = publisher
        self._marks = marks

    async def erase(self, request: UserErasureRequested) -> None:
        """Delete a user's rows and keys, and publish the receipt.

        Raise Transient without Redis or Kafka, and errors of asyncpg without Postgres.
        """
        tenant, user_id = request.tenant, request.user_id
        subjects = [user_id, *request.session_ids]
        until = request.occurred_at.timestamp()
        await self._marks.set({(tenant, subject): until for subject in subjects})
        # Rows first: a put that is copied meanwhile finds its row gone, and removes the copy.
        overrides = await self._database.fetch(*SQL.erase_overrides(tenant=tenant, user_id=user_id))
        await self._delete([overrides_key(tenant, user_id)])
        keys = user_keys(tenant, user_id, request.session_ids)
        rows = {name: await self._delete(of_kind) for name, of_kind in keys.items()}
        rows["overrides"] = len(overrides)
        for begin in range(0, len(subjects), KEYS_PER_COMMAND):
            members = subjects[begin : begin + KEYS_PER_COMMAND]
            await self._redis.execute(("ZREM", subjects_key(tenant), *members))
        receipt = UserErased.of(request, "recommender", rows)
        await self._publisher.publish(ERASURE_RECEIPTS, [receipt], within=PUBLISH_TIMEOUT_SECONDS)

    async def without_erased(self, events: list[InteractionRecorded]) -> list[InteractionRecorded]:
        """Return the events without those of users and sessions that were erased after them.

        Raise Transient without Redis.
        """
        return await self._marks.without_erased(events)

    async def _delete(self, keys: list[str]) -> int:
        deleted = 0
        for begin in range(0, len(keys), KEYS_PER_COMMAND):
            part = keys[begin : begin + KEYS_PER_COMMAND]
            deleted += sum(await self._redis.execute(*(("UNLINK", key) for key in part)))
        return deleted
