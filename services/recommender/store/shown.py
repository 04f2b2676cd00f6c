"""How often items were shown, in Redis: what is shown and not clicked is explored less."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from services.recommender.store.keys import shown_key
from shared.errors import EndcapError

if TYPE_CHECKING:
    from shared.redis import Multiplexer

KEPT = timedelta(days=60)
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
