"""Overrides of lists: written to Postgres, copied to Redis, read for every list of a user."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from services.recommender.metrics import OVERRIDES, PUTS
from services.recommender.store import SQL
from services.recommender.store.keys import completeness_key, overrides_key
from services.recommender.store.override_copies import PAGE_SIZE, OverrideCopies, decode, of_row
from services.recommender.store.periodic import repeat
from shared.errors import ApiError, EndcapError

if TYPE_CHECKING:
    from services.recommender.domain.override import Override
    from services.recommender.store.guarded_database import GuardedDatabase
    from shared.postgres import Database
    from shared.postgres.notices import Notice
    from shared.redis import Multiplexer

MAX_PER_USER = 100
"""Overrides of one user: as many items as a list may have."""

UNNOTICED_POLL_SECONDS = 1.0
"""Interval of reads of new overrides while notices are not received; arbitrary."""

LATE_VERSIONS = 200
"""A version may be committed after this many later ones, and is still found; arbitrary."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OverrideLimits:
    """The lifetime of an override, and the number that a tenant may have."""

    lifetime: timedelta
    per_tenant: int
    poll_seconds: float = 30.0
    """Interval of reads of the numbers of overrides, beside the notices."""


class Overrides:
    """Puts and reads overrides. A part, which knows the tenants that have any."""

    name = "overrides"

    def __init__(
        self, redis: Multiplexer, database: Database, guarded: GuardedDatabase, limits: OverrideLimits
    ) -> None:
        self._redis = redis
        self._database = database
        self._requests = database.for_requests()
        self._guarded = guarded
        self._limits = limits
        self._copies = OverrideCopies(redis, self._requests)
        self._counts: dict[str, int] = {}
        self._listeners: list[Callable[[Override], None]] = []
        self._newest: int | None = None
        self._seen: set[int] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def listen(self, listener: Callable[[Override], None]) -> None:
        """Call `listener` for every override that any process puts from now on."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Start to follow the puts of other processes."""
        OVERRIDES.set_function(lambda: sum(self._counts.values()))
        notice = self._database.notices("overrides")
        self._tasks = [
            asyncio.create_task(repeat(self._read_counts, self._limits.poll_seconds), name="overrides"),
            asyncio.create_task(repeat(lambda: self._follow(notice), 0.0), name="new-overrides"),
        ]

    async def stop(self) -> None:
        """Stop following."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    def alive(self) -> str | None:
        """Return None: every read has a time limit."""
        return None

    def ready(self) -> str | None:
        """Return None: without Postgres, puts fail and answers are made without overrides."""
        return None

    async def put(
        self, tenant: str, user_id: str, item_id: str, score: float, category: str | None
    ) -> Override:
        """Store an override and return it; it is durable then, and served as soon as Redis has it.

        Raise ApiError (400) if the user or the tenant has too many, and errors of asyncpg while Postgres is
        unavailable.
        """
        if self._counts.get(tenant, 0) >= self._limits.per_tenant:
            detail = f"A tenant may have {self._limits.per_tenant} overrides; wait until some expire."
            raise _refused(detail)
        row = await self._requests.fetchrow(
            *SQL.put_override(
                tenant=tenant,
                user_id=user_id,
                item_id=item_id,
                score=score,
                category=category,
                lifetime=self._limits.lifetime,
                most=MAX_PER_USER,
            )
        )
        if row is None:
            raise _refused(f"A user may have {MAX_PER_USER} overrides; wait until some expire.")
        override = of_row(row)
        self._counts[tenant] = self._counts.get(tenant, 0) + 1
        PUTS.labels("accepted").inc()
        try:
            await self._copies.copy([override])
        except Exception as error:  # noqa: BLE001 - it is durable: the worker copies it later
            log.warning("overrides.not_copied", tenant=tenant, error=repr(error))
        return override

    def has_any(self, tenant: str) -> bool:
        """Return whether the tenant has overrides, as far as this process knows."""
        return tenant in self._counts

    async def of_user(self, tenant: str, user_id: str) -> Sequence[Override]:
        """Return the overrides of a user; none if nothing answers.

        It costs nothing for a tenant without any, and one round trip to Redis for others.
        """
        if tenant not in self._counts:
            return ()
        now, key = time.time(), overrides_key(tenant, user_id)
        try:
            is_complete, values = await self._redis.execute(("EXISTS", completeness_key(key)), ("HVALS", key))
            if is_complete:
                return [each for each in decode(tenant, user_id, values) if each.expires_at > now]
        except (EndcapError, ValueError, TypeError) as error:
            log.debug("overrides.redis_unavailable", error=repr(error))
        rows = await self._guarded.fetch(*SQL.overrides_of_user(tenant=tenant, user_id=user_id))
        return [of_row(row) for row in rows or ()]

    async def _read_counts(self) -> None:
        rows = await self._database.fetch(*SQL.overrides_by_tenant())
        self._counts = {row["tenant"]: row["overrides"] for row in rows}

    async def _follow(self, notice: Notice) -> None:
        """Read what was put since the last call, and wait for the next notice."""
        notice.clear()
        await self._read_new()
        await notice.wait(self._limits.poll_seconds if notice.heard else UNNOTICED_POLL_SECONDS)

    async def _read_new(self) -> None:
        is_first = self._newest is None
        newest = self._newest
        if newest is None:
            newest = await self._database.fetchval(*SQL.newest_override())
        after = max(0, newest - LATE_VERSIONS)
        while True:
            rows = await self._database.fetch(*SQL.overrides_after(version=after, page_size=PAGE_SIZE))
            for override in map(of_row, rows):
                self._counts.setdefault(override.tenant, 1)
                if not is_first and override.version not in self._seen:
                    self._tell(override)
                self._seen.add(override.version)
            if rows:
                after = rows[-1]["version"]
                newest = max(newest, after)
            if len(rows) < PAGE_SIZE:
                break
        self._newest = newest
        self._seen = {version for version in self._seen if version > newest - LATE_VERSIONS}

    def _tell(self, override: Override) -> None:
        for listener in self._listeners:
            listener(override)


def _refused(detail: str) -> ApiError:
    PUTS.labels("refused").inc()
    return ApiError(400, "TooManyOverrides", detail)
