"""Impressions of young items, counted in Redis: exploration favours items with few impressions.

Only items that a campaign explores are counted. The explorer creates their fields, so impressions of unknown
items, which anyone with an event key can send, leave nothing behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import orjson
import structlog

from services.recommender.store.histories import is_full
from services.recommender.store.keys import answer_key, impressions_key
from services.recommender.store.scripts import COUNT, call
from shared.errors import EndcapError, Transient

if TYPE_CHECKING:
    from shared.redis import Multiplexer

COUNTS_TTL = timedelta(days=60)
ANSWERS_TTL = timedelta(minutes=30)
ITEMS_PER_COMMAND = 1_000
FIELDS_PER_READ = 1_000
"""Fields that one read creates at most, since a request waits for it. Arbitrary."""
MAX_COUNTED_ITEMS = 100_000
"""Items of a tenant whose impressions are counted, about 10 MB of Redis. Arbitrary."""
MAX_ANSWER_ITEMS = 25
"""Items of an answer that are stored: the most that an event of Amazon Personalize may list as shown."""

log = structlog.get_logger()


class ImpressionCounts:
    """Impressions by tenant and item. They are estimates: an event that is delivered twice counts twice."""

    def __init__(self, redis: Multiplexer) -> None:
        self._redis = redis

    async def count(self, impressions: Mapping[str, Counter[str]]) -> None:
        """Add impressions, by tenant and item id, to the counts of explored items.

        Raise Transient while Redis is unavailable. When Redis is full the counts are dropped, since histories
        matter more.
        """
        ttl_seconds, calls = int(COUNTS_TTL.total_seconds()), []
        for tenant, counter in impressions.items():
            pairs = list(counter.items())
            for begin in range(0, len(pairs), ITEMS_PER_COMMAND):
                arguments = [value for pair in pairs[begin : begin + ITEMS_PER_COMMAND] for value in pair]
                calls.append(("EVALSHA", COUNT.sha1, 1, impressions_key(tenant), ttl_seconds, *arguments))
        if not calls:
            return
        try:
            await call(self._redis, calls)
        except Transient as error:
            if not is_full(error):
                raise
            log.warning("impressions.not_counted", error=str(error))

    async def remember(self, tenant: str, recommendation_id: str, item_ids: Sequence[str]) -> None:
        """Store the items of an answer for half an hour; do nothing while Redis is unavailable."""
        key, ttl_seconds = answer_key(tenant, recommendation_id), int(ANSWERS_TTL.total_seconds())
        content = orjson.dumps(item_ids[:MAX_ANSWER_ITEMS]).decode()
        try:
            await self._redis.execute(("SET", key, content, "EX", ttl_seconds))
        except EndcapError as error:
            log.debug("impressions.redis_unavailable", error=repr(error))

    async def take(self, answers: Sequence[tuple[str, str]]) -> list[list[str]]:
        """Return and delete the stored item ids of each answer (tenant, recommendation id).

        Raise Transient while Redis is unavailable.
        """
        if not answers:
            return []
        stored = await self._redis.execute(*(("GETDEL", answer_key(*answer)) for answer in answers))
        return [orjson.loads(items) if items else [] for items in stored]

    async def of_items(self, tenant: str, item_ids: Sequence[str]) -> list[int]:
        """Return the impressions of each item, and count them from now on.

        Return zeros while Redis is unavailable.
        """
        key = impressions_key(tenant)
        parts = [
            item_ids[begin : begin + ITEMS_PER_COMMAND]
            for begin in range(0, len(item_ids), ITEMS_PER_COMMAND)
        ]
        try:
            replies = await self._redis.execute(*(("HMGET", key, *part) for part in parts))
            counts = [count for reply in replies for count in reply]
            missing = [item for item, count in zip(item_ids, counts, strict=True) if count is None]
            if missing:
                await self._create_fields(key, missing)
        except EndcapError as error:
            log.debug("impressions.redis_unavailable", error=repr(error))
            return [0] * len(item_ids)
        return [int(count or 0) for count in counts]

    async def _create_fields(self, key: str, item_ids: Sequence[str]) -> None:
        """Create fields for the first of the items; delete all others first if there are too many of them.

        Those are mostly of items that are no longer explored.
        """
        (size,) = await self._redis.execute(("HLEN", key))
        reset = [("UNLINK", key)] if size + 1 > MAX_COUNTED_ITEMS else []
        await self._redis.execute(
            *reset,
            *(("HSETNX", key, item, 0) for item in item_ids[:FIELDS_PER_READ]),
            ("EXPIRE", key, int(COUNTS_TTL.total_seconds())),
        )
