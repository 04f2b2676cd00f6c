"""How often young items were shown, in Redis: what is shown and not clicked is explored less.

Only items that a campaign explores are counted: who explores makes their fields, so that impressions of
made-up items, which anybody with an event key can send, leave nothing behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import orjson
import structlog

from services.recommender.store.histories import is_full
from services.recommender.store.keys import answer_key, shown_key
from services.recommender.store.scripts import COUNT, call
from shared.errors import EndcapError, Transient

if TYPE_CHECKING:
    from shared.redis import Multiplexer

KEPT = timedelta(days=60)
ANSWERS_KEPT = timedelta(minutes=30)
ASKED_AT_ONCE = 1_000
MADE_AT_ONCE = 1_000
"""Fields that one look makes: a request waits for it."""
MOST_COUNTED = 100_000
"""Items of a tenant whose impressions are counted, about 10 MB of Redis. Arbitrary."""
MOST_REMEMBERED = 25
"""Items of an answer that are remembered: as many as an event of Amazon Personalize may show."""

log = structlog.get_logger()


class Shown:
    """Counts impressions by tenant and item. An estimate: what is delivered twice counts twice."""

    def __init__(self, redis: Multiplexer) -> None:
        self._redis = redis

    async def count(self, shown: Mapping[str, Counter[str]]) -> None:
        """Add to the counts of items that are explored. Transient while Redis is away.

        When Redis is full the counts are left out: histories are worth more.
        """
        seconds, calls = int(KEPT.total_seconds()), []
        for tenant, items in shown.items():
            pairs = list(items.items())
            for at in range(0, len(pairs), ASKED_AT_ONCE):
                part = [each for pair in pairs[at : at + ASKED_AT_ONCE] for each in pair]
                calls.append(("EVALSHA", COUNT.sha1, 1, shown_key(tenant), seconds, *part))
        if not calls:
            return
        try:
            await call(self._redis, calls)
        except Transient as error:
            if not is_full(error):
                raise
            log.warning("shown.not_counted", error=str(error))

    async def remember(self, tenant: str, recommendation_id: str, item_ids: Sequence[str]) -> None:
        """Keep for half an hour what an answer held; while Redis is away nothing is kept."""
        key, seconds = answer_key(tenant, recommendation_id), int(ANSWERS_KEPT.total_seconds())
        item_ids = item_ids[:MOST_REMEMBERED]
        try:
            await self._redis.execute(("SET", key, orjson.dumps(item_ids).decode(), "EX", seconds))
        except EndcapError as error:
            log.debug("shown.redis_passed_over", error=repr(error))

    async def taken(self, answers: Sequence[tuple[str, str]]) -> list[list[str]]:
        """What each answer (tenant, recommendation id) held; each is told once. Transient without Redis."""
        if not answers:
            return []
        found = await self._redis.execute(*(("GETDEL", answer_key(*answer)) for answer in answers))
        return [orjson.loads(items) if items else [] for items in found]

    async def times(self, tenant: str, item_ids: Sequence[str]) -> list[int]:
        """How often each of the items was shown; 0 when Redis can't tell. From now on they are counted."""
        key = shown_key(tenant)
        parts = [item_ids[at : at + ASKED_AT_ONCE] for at in range(0, len(item_ids), ASKED_AT_ONCE)]
        try:
            found = await self._redis.execute(*(("HMGET", key, *part) for part in parts))
            counts = [times for part in found for times in part]
            missing = [item for item, times in zip(item_ids, counts, strict=True) if times is None]
            if missing:
                await self._begin(key, missing)
        except EndcapError as error:
            log.debug("shown.redis_passed_over", error=repr(error))
            return [0] * len(item_ids)
        return [int(times or 0) for times in counts]

    async def _begin(self, key: str, item_ids: Sequence[str]) -> None:
        """Make fields for some of the items. Where too many are there, of old items mostly, all go first."""
        (known,) = await self._redis.execute(("HLEN", key))
        forget = [("UNLINK", key)] if known + 1 > MOST_COUNTED else []
        await self._redis.execute(
            *forget,
            *(("HSETNX", key, item, 0) for item in item_ids[:MADE_AT_ONCE]),
            ("EXPIRE", key, int(KEPT.total_seconds())),
        )
