"""How often items were shown, in Redis: what is shown and not clicked is explored less."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import orjson
import structlog

from services.recommender.store.keys import answer_key, shown_key
from shared.errors import EndcapError

if TYPE_CHECKING:
    from shared.redis import Multiplexer

KEPT = timedelta(days=60)
ANSWERS_KEPT = timedelta(minutes=30)
ASKED_AT_ONCE = 1_000

log = structlog.get_logger()


class Shown:
    """Counts impressions by tenant and item. An estimate: what is delivered twice counts twice."""

    def __init__(self, redis: Multiplexer) -> None:
        self._redis = redis

    async def count(self, shown: Mapping[str, Counter[str]]) -> None:
        """Add to the counts. Transient while Redis is away."""
        commands: list[tuple[str | int, ...]] = []
        for tenant, items in shown.items():
            key = shown_key(tenant)
            commands += [("HINCRBY", key, item, times) for item, times in items.items()]
            commands.append(("EXPIRE", key, int(KEPT.total_seconds())))
        if commands:
            await self._redis.execute(*commands)

    async def remember(self, tenant: str, recommendation_id: str, item_ids: Sequence[str]) -> None:
        """Keep for half an hour what an answer held; while Redis is away nothing is kept."""
        key, seconds = answer_key(tenant, recommendation_id), int(ANSWERS_KEPT.total_seconds())
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
        """How often each of the items was shown; 0 when Redis can't tell."""
        key = shown_key(tenant)
        parts = [item_ids[at : at + ASKED_AT_ONCE] for at in range(0, len(item_ids), ASKED_AT_ONCE)]
        try:
            found = await self._redis.execute(*(("HMGET", key, *part) for part in parts))
        except EndcapError as error:
            log.debug("shown.redis_passed_over", error=repr(error))
            return [0] * len(item_ids)
        return [int(times or 0) for part in found for times in part]
