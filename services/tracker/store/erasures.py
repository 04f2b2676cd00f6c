"""Erasing users: their events leave the log, and none of before comes in again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.tracker.store.interactions import SQL
from shared.events import UserErased, UserErasureRequested
from shared.events.topics import ERASURE_RECEIPTS

if TYPE_CHECKING:
    from shared.kafka import Publisher
    from shared.postgres import Database

PUBLISH_SECONDS = 10.0


class Erasures:
    """Removes users and their sessions from the log; a repetition changes nothing."""

    def __init__(self, database: Database, publisher: Publisher) -> None:
        self._database = database
        self._publisher = publisher

    async def erase(self, request: UserErasureRequested) -> None:
        """Delete a user's events, and publish the receipt. Transient while Kafka is away."""
        rows = await self._deleted(request)
        receipt = UserErased.of(request, "tracker", rows)
        await self._publisher.publish(ERASURE_RECEIPTS, [receipt], within=PUBLISH_SECONDS)

    async def _deleted(self, request: UserErasureRequested) -> dict[str, int]:
        """Delete; gives how many rows, also those that an earlier attempt has deleted."""
        tenant, user_id = request.tenant, request.user_id
        which = {"tenant": tenant, "user_id": user_id}
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_log())
            own = await connection.fetch(*SQL.sessions_of(**which))
            sessions = sorted({*request.session_ids, *(row["session_id"] for row in own)} - {user_id})
            known = await connection.fetch(
                *SQL.add_erased_subjects(
                    tenant=tenant,
                    subjects=sorted([user_id, *sessions]),
                    erasure_id=request.erasure_id,
                    erased_at=request.occurred_at,
                )
            )
            before = next(row["rows"] for row in known if row["subject"] == user_id)
            of_subjects = {**which, "session_ids": sessions, "erased_at": request.occurred_at}
            deleted = {
                "interactions": await connection.fetchval(*SQL.delete_interactions(**of_subjects)),
                "event_conflicts": await connection.fetchval(*SQL.delete_conflicts(**of_subjects)),
            }
            rows = {place: count + before.get(place, 0) for place, count in deleted.items()}
            await connection.execute(*SQL.count_erased(**which, rows=rows))
        return rows
