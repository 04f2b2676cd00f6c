"""The keys that Redis has of a user and of the user's sessions, by what they hold."""

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
    unclicked_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.postgres import Database
    from shared.redis import Multiplexer

KEYS_PER_COMMAND = 500
MAX_SESSIONS = 1_000
"""Newest sessions of a user whose keys are counted: as many as an erasure request names."""


def user_keys(tenant: str, user_id: str, session_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the keys of a user by the names that receipts of erasures have for them."""
    subjects = [user_id, *session_ids]
    return {
        "histories": [history_key(tenant, subject) for subject in subjects],
        "purchases": [purchases_key(tenant, subject) for subject in subjects],
        "impressions": [unclicked_key(tenant, subject) for subject in subjects],
        "links": [link_key(tenant, session) for session in session_ids],
        "attributes": [location_key(tenant, user_id), properties_key(tenant, user_id)],
    }


class UserKeys:
    """Counts the keys of users."""

    def __init__(self, redis: Multiplexer, database: Database) -> None:
        self._redis = redis
        self._database = database

    async def count(self, tenant: str, user_id: str) -> dict[str, int]:
        """Return how many keys Redis has of a user, by what they hold.

        Raise Transient without Redis, and one of `UNAVAILABLE` without Postgres, which has the sessions.
        """
        rows = await self._database.fetch(
            *SQL.sessions_of_user(tenant=tenant, user_id=user_id, limit=MAX_SESSIONS)
        )
        keys = user_keys(tenant, user_id, [row["session_id"] for row in rows])
        keys["overrides"] = [overrides_key(tenant, user_id)]
        return {name: await self._existing(of_kind) for name, of_kind in keys.items()}

    async def _existing(self, keys: Sequence[str]) -> int:
        count = 0
        for begin in range(0, len(keys), KEYS_PER_COMMAND):
            part = keys[begin : begin + KEYS_PER_COMMAND]
            count += sum(await self._redis.execute(*(("EXISTS", key) for key in part)))
        return count
