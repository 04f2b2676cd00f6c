"""Erase users: delete their events from the log, and reject older events that arrive later."""

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
    """Deletes users and their sessions from the log. A repetition changes nothing."""

    def __init__(self, database: Database, publisher: Publisher) -> None:
        self._database = database
        self._publisher = publisher

    async def erase(self, request: UserErasureRequested) -> None:
        """Delete a user's events, and publish the receipt. Raises Transient while Kafka is unavailable."""
        rows = await self._deleted(request)
        receipt = UserErased.of(request, "tracker", rows)
        await self._publisher.publish(ERASURE_RECEIPTS, [receipt], within=PUBLISH_SECONDS)

    async def _deleted(self, request: UserErasureRequested) -> dict[str, int]:
        """Delete, and return the deleted rows by table, including those of an earlier attempt."""
        tenant, user_id = request.tenant, request.user_id
        user = {"tenant": tenant, "user_id": user_id}
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_log())
            rows = await connection.fetch(*SQL.sessions_of_user(**user))
            sessions = sorted({*request.session_ids, *(row["session_id"] for row in rows)} - {user_id})
            subjects = await connection.fetch(
                *SQL.add_erased_subjects(
                    tenant=tenant,
                    subjects=sorted([user_id, *sessions]),
                    erasure_id=request.erasure_id,
                    erased_at=request.occurred_at,
                )
            )
            earlier = next(row["rows"] for row in subjects if row["subject"] == user_id)
            erased = {**user, "session_ids": sessions, "erased_at": request.occurred_at}
            deleted = {
                "interactions": await connection.fetchval(*SQL.delete_interactions(**erased)),
                "event_conflicts": await connection.fetchval(*SQL.delete_conflicts(**erased)),
            }
            total = {table: count + earlier.get(table, 0) for table, count in deleted.items()}
            await connection.execute(*SQL.save_erased_rows(**user, rows=total))
        return total
