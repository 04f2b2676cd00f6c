"""Events of items by hour, counted in Redis: written by the worker, read for what is trending.

A count is at least right: events of a batch that is delivered again, after a failure, count again.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import structlog

from services.recommender.domain.trends import EARLIER_HOURS, HOUR_SECONDS, RECENT_HOURS, growth
from services.recommender.store.histories import is_full
from services.recommender.store.keys import trend_key
from shared.errors import EndcapError, Transient

if TYPE_CHECKING:
    from collections import Counter

    from shared.redis import Multiplexer

KEPT_SECONDS = 48 * HOUR_SECONDS
MAX_ITEMS_AN_HOUR = 10_000
"""Items of a tenant that are counted in an hour, those with the most events: about 1 MB. Arbitrary."""
CANDIDATES_AN_HOUR = 200
"""Items of a recent hour that may be trending, those with the most events. Arbitrary."""
REFRESH_SECONDS = 10.0
MAX_TENANTS = 1_000
"""Tenants whose trending items are in memory. Arbitrary."""

log = structlog.get_logger()


class TrendCounts:
    """Adds events to the counts of hours."""

    def __init__(self, redis: Multiplexer) -> None:
        self._redis = redis

    async def add(self, counts: Mapping[tuple[str, int], Counter[str]]) -> None:
        """Add the events by (tenant, hour) and item.

        Raise Transient while Redis is unavailable. When Redis is full the counts are dropped, since histories
        matter more.
        """
        commands: list[tuple[str | int, ...]] = []
        for (tenant, hour), items in counts.items():
            key = trend_key(tenant, hour)
            commands += [("ZINCRBY", key, count, item_id) for item_id, count in items.items()]
            commands.append(("ZREMRANGEBYRANK", key, 0, -MAX_ITEMS_AN_HOUR - 1))
            commands.append(("EXPIRE", key, KEPT_SECONDS))
        if not commands:
            return
        try:
            await self._redis.execute(*commands)
        except Transient as error:
            if not is_full(error):
                raise
            log.warning("trends.not_counted", error=str(error))


class _Trend(NamedTuple):
    read_at: float
    items: list[tuple[str, float]]


class Trending:
    """The trending items of tenants in memory, read again when they are requested after ten seconds."""

    def __init__(self, redis: Multiplexer, clock: Callable[[], float] = time.time) -> None:
        """Read hours by `clock`, in seconds since the epoch."""
        self._redis = redis
        self._clock = clock
        self._trends: OrderedDict[str, _Trend] = OrderedDict()
        self._reads: dict[str, asyncio.Task[None]] = {}

    async def of(self, tenant: str, count: int) -> list[tuple[str, float]]:
        """Return the `count` items that grow most, with their scores; fewer, or none, if there are no more.

        Only the first request of a tenant waits for Redis; later ones get what is in memory.
        """
        trend = self._trends.get(tenant)
        if trend is None or abs(self._clock() - trend.read_at) >= REFRESH_SECONDS:
            read = self._reads.get(tenant)
            if read is None:
                read = self._reads[tenant] = asyncio.create_task(self._read(tenant), name="trending")
                read.add_done_callback(lambda _: self._reads.pop(tenant, None))
            if trend is None:
                await asyncio.shield(read)
                trend = self._trends.get(tenant)
        return [] if trend is None else trend.items[:count]

    async def _read(self, tenant: str) -> None:
        """Read the counts; what was known stays while Redis is unavailable."""
        now = self._clock()
        known = self._trends.get(tenant)
        try:
            items = await self._growth(tenant, now)
        except (EndcapError, ValueError) as error:
            log.debug("trends.redis_unavailable", error=repr(error))
            items = known.items if known is not None else []
        self._trends[tenant] = _Trend(now, items)
        self._trends.move_to_end(tenant)
        if len(self._trends) > MAX_TENANTS:
            self._trends.popitem(last=False)

    async def _growth(self, tenant: str, now: float) -> list[tuple[str, float]]:
        current = int(now) // HOUR_SECONDS
        hours = range(current - RECENT_HOURS + 1, current + 1)
        tops = await self._redis.execute(
            *(("ZREVRANGE", trend_key(tenant, hour), 0, CANDIDATES_AN_HOUR - 1) for hour in hours)
        )
        candidates = list(dict.fromkeys(member for top in tops for member in top))
        if not candidates:
            return []
        earlier = range(hours[0] - EARLIER_HOURS, hours[0])
        replies = await self._redis.execute(
            *(("ZMSCORE", trend_key(tenant, hour), *candidates) for hour in (*earlier, *hours))
        )
        sums = [
            {
                member.decode(): sum(float(score or 0) for score in scores)
                for member, *scores in zip(candidates, *part, strict=True)
            }
            for part in (replies[EARLIER_HOURS:], replies[:EARLIER_HOURS])
        ]
        elapsed_hours = RECENT_HOURS - 1 + now % HOUR_SECONDS / HOUR_SECONDS
        return growth(sums[0], sums[1], elapsed_hours)
