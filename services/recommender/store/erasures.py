"""Erasing users from Redis: histories, purchases, links of sessions, and what the shop says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.store.keys import (
    bought_key,
    facts_key,
    history_key,
    link_key,
    place_key,
    subjects_key,
)
from shared.events import UserErased, UserErasureRequested
from shared.events.topics import ERASURE_RECEIPTS

if TYPE_CHECKING:
    from shared.kafka import Publisher
    from shared.redis import Multiplexer

PUBLISH_SECONDS = 10.0
KEYS_AT_ONCE = 500


class Erasures:
    """Removes users and their sessions; a repetition finds nothing and says so."""

    def __init__(self, redis: Multiplexer, publisher: Publisher) -> None:
        self._redis = redis
        self._publisher = publisher

    async def erase(self, request: UserErasureRequested) -> None:
        """Delete a user's keys, and publish the receipt. Transient while Redis or Kafka is away."""
        tenant, user_id = request.tenant, request.user_id
        subjects = [user_id, *request.session_ids]
        rows = {
            "histories": await self._delete([history_key(tenant, subject) for subject in subjects]),
            "purchases": await self._delete([bought_key(tenant, subject) for subject in subjects]),
            "links": await self._delete([link_key(tenant, session) for session in request.session_ids]),
            "attributes": await self._delete([place_key(tenant, user_id), facts_key(tenant, user_id)]),
        }
        for begin in range(0, len(subjects), KEYS_AT_ONCE):
            part = subjects[begin : begin + KEYS_AT_ONCE]
            await self._redis.execute(("ZREM", subjects_key(tenant), *part))
        receipt = UserErased.of(request, "recommender", rows)
        await self._publisher.publish(ERASURE_RECEIPTS, [receipt], within=PUBLISH_SECONDS)

    async def _delete(self, keys: list[str]) -> int:
        deleted = 0
        for begin in range(0, len(keys), KEYS_AT_ONCE):
            (count,) = await self._redis.execute(("UNLINK", *keys[begin : begin + KEYS_AT_ONCE]))
            deleted += int(count)
        return deleted
