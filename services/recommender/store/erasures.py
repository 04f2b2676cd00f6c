"""Erase users: histories, purchases, impressions, links of sessions, locations, properties and overrides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.store import SQL
from services.recommender.store.keys import (
    history_key,
    link_key,
    location_key,
    overrides_key,
    properties_key,
    purchases_key,
    subjects_key,
    unclicked_key,
)
from shared.events import UserErased, UserErasureRequested
from shared.events.topics import ERASURE_RECEIPTS

if TYPE_CHECKING:
    from shared.kafka import Publisher
    from shared.postgres import Database
    from shared.redis import Multiplexer

PUBLISH_TIMEOUT_SECONDS = 10.0
KEYS_PER_COMMAND = 500


class Erasures:
    """Deletes the data of users and of their sessions; repeating it deletes nothing more."""

    def __init__(self, redis: Multiplexer, database: Database, publisher: Publisher) -> None:
        self._redis = redis
        self._database = database
        self._publisher = publisher

    async def erase(self, request: UserErasureRequested) -> None:
        """Delete a user's rows and keys, and publish the receipt.

        Raise Transient without Redis or Kafka, and errors of asyncpg without Postgres.
        """
        tenant, user_id = request.tenant, request.user_id
        subjects = [user_id, *request.session_ids]
        # Rows first: a put that is copied meanwhile finds its row gone, and removes the copy.
        overrides = await self._database.fetch(*SQL.erase_overrides(tenant=tenant, user_id=user_id))
        await self._delete([overrides_key(tenant, user_id)])
        rows = {
            "histories": await self._delete([history_key(tenant, subject) for subject in subjects]),
            "purchases": await self._delete([purchases_key(tenant, subject) for subject in subjects]),
            "impressions": await self._delete([unclicked_key(tenant, subject) for subject in subjects]),
            "links": await self._delete([link_key(tenant, session) for session in request.session_ids]),
            "overrides": len(overrides),
            "attributes": await self._delete(
                [location_key(tenant, user_id), properties_key(tenant, user_id)]
            ),
        }
        for begin in range(0, len(subjects), KEYS_PER_COMMAND):
            members = subjects[begin : begin + KEYS_PER_COMMAND]
            await self._redis.execute(("ZREM", subjects_key(tenant), *members))
        receipt = UserErased.of(request, "recommender", rows)
        await self._publisher.publish(ERASURE_RECEIPTS, [receipt], within=PUBLISH_TIMEOUT_SECONDS)

    async def _delete(self, keys: list[str]) -> int:
        deleted = 0
        for begin in range(0, len(keys), KEYS_PER_COMMAND):
            part = keys[begin : begin + KEYS_PER_COMMAND]
            deleted += sum(await self._redis.execute(*(("UNLINK", key) for key in part)))
        return deleted
