"""How much of Redis the histories of a tenant may take, so that none can fill it for all.

Event keys are public, and who has one can make up any number of users and sessions. What they take is
estimated from a sample every few seconds. Beyond the budget those go first whose keys would expire first:
sessions without a user before users, and those that were seen longest ago before others.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

import structlog

from services.recommender.metrics import DROPPED_HISTORIES
from services.recommender.store.keys import (
    TENANTS_WITH_SUBJECTS,
    bought_key,
    history_key,
    link_key,
    subjects_key,
)
from shared.errors import EndcapError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from shared.redis import Multiplexer

LOOK_SECONDS = 5.0
SAMPLE = 100
SHARE = 0.25
"""The part of Redis's memory that one tenant's histories may take where no setting says it. Arbitrary: lists
and other tenants need the rest."""
LOW = 0.9
"""Down to this part of its budget a tenant that is over it is brought, so that it is not over it at once."""
RELIEF = 0.1
"""The part of the largest tenant's histories that goes when Redis is full."""
ENTRY_BYTES = 220
"""A subject's entry in the sorted set, and in the tables of keys. Measured on Redis 7.0."""
AT_ONCE = 2_000

log = structlog.get_logger()


class Budget:
    """Keeps the histories of each tenant within its budget. A part."""

    name = "history-budget"

    def __init__(self, redis: Multiplexer, budget_bytes: int | None) -> None:
        """Give each tenant `budget_bytes`; None is a quarter of what Redis may take."""
        self._redis = redis
        self._budget_bytes = budget_bytes
        self._active: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._relief = asyncio.Lock()

    async def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._watch(), name="history-budget")

    async def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=5)

    def alive(self) -> str | None:
        """Never stuck: each call of Redis has its time."""
        return None

    def ready(self) -> str | None:
        """Histories are written whether or not anybody looks."""
        return None

    def note(self, tenants: Iterable[str]) -> None:
        """Look at these tenants next time: something is written for them."""
        self._active.update(tenants)

    async def trim(self, tenants: Collection[str]) -> int:
        """Drop what expired, and the first to expire beyond the budget; return how many subjects went."""
        budget, dropped = await self._budget(), 0
        for tenant in tenants:
            expired = f"({int(time.time())}"
            await self._redis.execute(("ZREMRANGEBYSCORE", subjects_key(tenant), "-inf", expired))
            count, mean = await self._measured(tenant)
            allowed, before = budget, dropped
            while count * mean > allowed:
                allowed = LOW * budget
                # A little at a time: other workers look, too, and the first to go are small.
                dropped += await self._drop(tenant, min(math.ceil(count - allowed / mean), AT_ONCE))
                count, mean = await self._measured(tenant)
            if dropped > before:
                log.warning("budget.histories_dropped", tenant=tenant, subjects=dropped - before)
        if tenants:
            # Last, since a full Redis refuses it, and what is above makes room.
            await self._redis.execute(("SADD", TENANTS_WITH_SUBJECTS, *tenants))
        return dropped

    async def make_room(self) -> None:
        """Redis is full: drop a part of the histories of the tenant that has the most of them."""
        async with self._relief:
            found = (await self._redis.execute(("SMEMBERS", TENANTS_WITH_SUBJECTS)))[0]
            tenants = {tenant.decode() for tenant in found} | self._active
            sizes = {tenant: await self._measured(tenant) for tenant in sorted(tenants)}
            if not sizes:
                return
            largest = max(sizes, key=lambda tenant: math.prod(sizes[tenant]))
            dropped = await self._drop(largest, math.ceil(RELIEF * sizes[largest][0]))
            log.warning("budget.redis_full", tenant=largest, subjects_dropped=dropped)

    async def _watch(self) -> None:
        while True:
            active, self._active = self._active, set()
            try:
                await self.trim(active)
            except EndcapError as error:
                self._active |= active
                log.debug("budget.waits", error=repr(error))
            except Exception:
                log.exception("budget.failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def _budget(self) -> float:
        if self._budget_bytes is not None:
            return float(self._budget_bytes)
        (found,) = await self._redis.execute(("INFO", "memory"))
        facts = dict(line.split(":", 1) for line in found.decode().split("\r\n") if ":" in line)
        return SHARE * float(int(facts.get("maxmemory", 0)) or int(facts["total_system_memory"]))

    async def _measured(self, tenant: str) -> tuple[int, float]:
        """Return how many subjects a tenant has, and the bytes that one takes in the mean."""
        count, sample = await self._redis.execute(
            ("ZCARD", subjects_key(tenant)), ("ZRANDMEMBER", subjects_key(tenant), SAMPLE)
        )
        keys = [key for subject in sample for key in _keys(tenant, subject.decode())]
        if not keys:
            return 0, 0.0
        sizes = await self._redis.execute(*(("MEMORY", "USAGE", key) for key in keys))
        return int(count), sum(size or 0 for size in sizes) / len(sample) + ENTRY_BYTES

    async def _drop(self, tenant: str, count: int) -> int:
        left = count
        while left > 0:
            (popped,) = await self._redis.execute(("ZPOPMIN", subjects_key(tenant), min(left, AT_ONCE)))
            subjects = [subject.decode() for subject in popped[::2]]
            if not subjects:
                break
            left -= len(subjects)
            await self._redis.execute(
                ("UNLINK", *(key for subject in subjects for key in _keys(tenant, subject)))
            )
        DROPPED_HISTORIES.inc(count - left)
        return count - left


def _keys(tenant: str, subject: str) -> tuple[str, str, str]:
    return history_key(tenant, subject), bought_key(tenant, subject), link_key(tenant, subject)
