"""Answers of a day by item and placement, counted by all serving processes together.

A process counts its answers in memory, adds them to Redis every tenth of a second, and reads the counts of
all processes once a second. So an answer waits for Redis only when a placement is new to the process. Between
two reads a process does not know the answers of the others: an item may be shown in as many more answers as
the others give it within 1.1 seconds. While Redis is unavailable each process knows its own answers alone.
A call that may have failed is repeated, so a count may be too high, never too low.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import structlog

from services.recommender.store.keys import quota_key
from shared.errors import EndcapError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from shared.redis import Multiplexer

FLUSH_SECONDS = 0.1
READ_SECONDS = 1.0
UNUSED_SECONDS = 60.0
"""A placement that was not requested for so long is not read any more. Arbitrary."""
COUNTS_TTL = timedelta(days=2)

log = structlog.get_logger()


@dataclass(slots=True)
class _Counts:
    """The answers by item of one placement and day: those of all processes, and those not yet in Redis."""

    answers: dict[str, int] = field(default_factory=dict)
    pending: Counter[str] = field(default_factory=Counter)
    used_at: float = 0.0


class ItemQuotaCounts:
    """A part that counts answers by item; see the module for how exact the counts are."""

    name = "item-quotas"

    def __init__(self, redis: Multiplexer) -> None:
        self._redis = redis
        self._counts: dict[str, _Counts] = {}
        self._used = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start to exchange counts with Redis as soon as a placement needs them."""
        self._task = asyncio.create_task(self._run(), name="item-quotas")

    async def stop(self) -> None:
        """Stop, and add the last counts."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=5)
            await self._flush()

    def alive(self) -> str | None:
        """Return None: every call of Redis has a time limit."""
        return None

    def ready(self) -> str | None:
        """Return None: without Redis a process counts its own answers."""
        return None

    async def of(self, tenant: str, placement: str, now: datetime) -> Mapping[str, int]:
        """Return the answers of the day by item; they are read from Redis if the placement is new here."""
        key = quota_key(tenant, placement, _day(now))
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = _Counts()
            self._used.set()
            await self._read([key])
        counts.used_at = asyncio.get_running_loop().time()
        return counts.answers

    def count(self, tenant: str, placement: str, item_ids: Iterable[str], now: datetime) -> None:
        """Count an answer that contains the items."""
        counts = self._counts.setdefault(quota_key(tenant, placement, _day(now)), _Counts())
        counts.used_at = asyncio.get_running_loop().time()
        self._used.set()
        answers = counts.answers
        for item_id in item_ids:
            answers[item_id] = answers.get(item_id, 0) + 1
            counts.pending[item_id] += 1

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        next_read = 0.0
        while True:
            await self._used.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self._flush()
                if loop.time() >= next_read:
                    next_read = loop.time() + READ_SECONDS
                    self._forget_unused(loop.time())
                    await self._read(list(self._counts))
            except Exception:
                log.exception("quotas.exchange_failed")

    async def _flush(self) -> None:
        """Add the pending counts to Redis, and take over the sums that it returns."""
        for key, counts in list(self._counts.items()):
            if not counts.pending:
                continue
            added, counts.pending = counts.pending, Counter()
            increments = [("HINCRBY", key, item_id, number) for item_id, number in added.items()]
            try:
                *sums, _ = await self._redis.execute(
                    *increments, ("EXPIRE", key, int(COUNTS_TTL.total_seconds()))
                )
            except EndcapError as error:
                counts.pending += added
                log.debug("quotas.not_added", error=repr(error))
                return
            for item_id, answers in zip(added, sums, strict=True):
                counts.answers[item_id] = int(answers) + counts.pending[item_id]

    async def _read(self, keys: list[str]) -> None:
        """Read the counts of all processes; keep the known ones while Redis is unavailable."""
        if not keys:
            return
        try:
            hashes = await self._redis.execute(*(("HGETALL", key) for key in keys))
        except EndcapError as error:
            log.debug("quotas.not_read", error=repr(error))
            return
        for key, fields in zip(keys, hashes, strict=True):
            counts = self._counts.get(key)
            if counts is not None:
                answers = Counter(counts.pending)
                for item_id, number in zip(fields[::2], fields[1::2], strict=True):
                    answers[item_id.decode()] += int(number)
                counts.answers = dict(answers)

    def _forget_unused(self, now: float) -> None:
        for key, counts in list(self._counts.items()):
            if not counts.pending and now - counts.used_at > UNUSED_SECONDS:
                del self._counts[key]
        if not self._counts:
            self._used.clear()


def _day(now: datetime) -> str:
    return now.astimezone(UTC).date().isoformat()
