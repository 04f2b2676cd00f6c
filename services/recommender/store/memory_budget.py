"""Limit the Redis memory of each tenant's histories, so that one tenant cannot fill Redis for all.

Event keys are public, and anyone who has one can send events of any number of users and sessions. Their
memory is estimated from a sample every few seconds. Beyond the budget, subjects are dropped in the order in
which their keys expire: sessions before users, and the least recently seen before others.
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
    history_key,
    link_key,
    purchases_key,
    subjects_key,
    unclicked_key,
)
from shared.errors import EndcapError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from shared.redis import Multiplexer

CHECK_SECONDS = 5.0
SAMPLE_SIZE = 100
DEFAULT_SHARE = 0.25
"""Share of Redis's memory for one tenant's histories without a setting. Arbitrary: lists and other tenants
need the rest."""
TRIM_TO = 0.9
"""A tenant over its budget is trimmed to this share of it, so that it does not exceed it again at once."""
RELIEF_SHARE = 0.1
"""Share of the largest tenant's histories that is dropped when Redis is full."""
ENTRY_BYTES = 220
"""A subject's entry in the sorted set, and in the tables of keys. Measured on Redis 7.0."""
DROP_BATCH = 2_000

log = structlog.get_logger()


class MemoryBudget:
    """A part that keeps the histories of each tenant within its memory budget."""

    name = "history-budget"

    def __init__(self, redis: Multiplexer, budget_bytes: int | None) -> None:
        """Give each tenant `budget_bytes`; None is a quarter of the memory of Redis."""
        self._redis = redis
        self._budget_bytes = budget_bytes
        self._written: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._making_room = asyncio.Lock()

    async def start(self) -> None:
        """Start to check."""
        self._task = asyncio.create_task(self._watch(), name="history-budget")

    async def stop(self) -> None:
        """Stop checking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=5)

    def alive(self) -> str | None:
        """Return None: every call of Redis has a time limit."""
        return None

    def ready(self) -> str | None:
        """Return None: histories are written without a check."""
        return None

    def mark_written(self, tenants: Iterable[str]) -> None:
        """Check these tenants next time, because histories of theirs are written."""
        self._written.update(tenants)

    async def trim(self, tenants: Collection[str]) -> int:
        """Drop expired subjects, and those beyond the budget; return how many of the latter were dropped.

        Raise Transient while Redis is unavailable.
        """
        budget, dropped = await self._budget(), 0
        for tenant in tenants:
            expired = f"({int(time.time())}"
            await self._redis.execute(("ZREMRANGEBYSCORE", subjects_key(tenant), "-inf", expired))
            count, mean_bytes = await self._measure(tenant)
            target_bytes, before = budget, dropped
            while count * mean_bytes > target_bytes:
                target_bytes = TRIM_TO * budget
                # In small batches: other workers trim too, and the first subjects to expire are small.
                excess = math.ceil(count - target_bytes / mean_bytes)
                dropped += await self._drop(tenant, min(excess, DROP_BATCH))
                count, mean_bytes = await self._measure(tenant)
            if dropped > before:
                log.warning("budget.histories_dropped", tenant=tenant, subjects=dropped - before)
        if tenants:
            # Last, because a full Redis rejects it, and the lines above make room.
            await self._redis.execute(("SADD", TENANTS_WITH_SUBJECTS, *tenants))
        return dropped

    async def make_room(self) -> None:
        """Drop a part of the histories of the tenant whose histories take most, because Redis is full.

        Raise Transient while Redis is unavailable.
        """
        async with self._making_room:
            (members,) = await self._redis.execute(("SMEMBERS", TENANTS_WITH_SUBJECTS))
            tenants = {tenant.decode() for tenant in members} | self._written
            sizes = {tenant: await self._measure(tenant) for tenant in sorted(tenants)}
            if not sizes:
                return
            largest = max(sizes, key=lambda tenant: math.prod(sizes[tenant]))
            dropped = await self._drop(largest, math.ceil(RELIEF_SHARE * sizes[largest][0]))
            log.warning("budget.redis_full", tenant=largest, subjects_dropped=dropped)

    async def _watch(self) -> None:
        while True:
            written, self._written = self._written, set()
            try:
                await self.trim(written)
            except EndcapError as error:
                self._written |= written
                log.debug("budget.not_checked", error=repr(error))
            except Exception:
                log.exception("budget.check_failed")
            await asyncio.sleep(CHECK_SECONDS)

    async def _budget(self) -> float:
        if self._budget_bytes is not None:
            return float(self._budget_bytes)
        (info,) = await self._redis.execute(("INFO", "memory"))
        memory = dict(line.split(":", 1) for line in info.decode().split("\r\n") if ":" in line)
        return DEFAULT_SHARE * float(int(memory.get("maxmemory", 0)) or int(memory["total_system_memory"]))

    async def _measure(self, tenant: str) -> tuple[int, float]:
        """Return the number of subjects of a tenant, and the mean bytes of one, estimated from a sample."""
        count, sample = await self._redis.execute(
            ("ZCARD", subjects_key(tenant)), ("ZRANDMEMBER", subjects_key(tenant), SAMPLE_SIZE)
        )
        keys = [key for subject in sample for key in _keys(tenant, subject.decode())]
        if not keys:
            return 0, 0.0
        sizes = await self._redis.execute(*(("MEMORY", "USAGE", key) for key in keys))
        return int(count), sum(size or 0 for size in sizes) / len(sample) + ENTRY_BYTES

    async def _drop(self, tenant: str, count: int) -> int:
        left = count
        while left > 0:
            (popped,) = await self._redis.execute(("ZPOPMIN", subjects_key(tenant), min(left, DROP_BATCH)))
            subjects = [subject.decode() for subject in popped[::2]]
            if not subjects:
                break
            left -= len(subjects)
            await self._redis.execute(
                ("UNLINK", *(key for subject in subjects for key in _keys(tenant, subject)))
            )
        DROPPED_HISTORIES.inc(count - left)
        return count - left


def _keys(tenant: str, subject: str) -> tuple[str, ...]:
    makers = (history_key, purchases_key, link_key, unclicked_key)
    return tuple(make(tenant, subject) for make in makers)
