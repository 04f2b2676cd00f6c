"""Erasing users: their state goes, their orders stay without them, and rejected rows that name them go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from services.sync.store.statements import SQL
from shared import outbox
from shared.events import UserErased, UserErasureRequested
from shared.events.topics import ERASURE_RECEIPTS, USERS

if TYPE_CHECKING:
    from shared.postgres import Connection, Database


class Erasures:
    """Removes users from what sync owns; a repetition changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def erase(self, request: UserErasureRequested) -> None:
        """Erase a user, and publish the tombstone and the receipt with it."""
        tenant, user_id = request.tenant, request.user_id
        which = {"tenant": tenant, "user_id": user_id}
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_catalogue(tenant=tenant))
            before = await connection.fetchval(
                *SQL.add_erased_user(**which, erasure_id=request.erasure_id, erased_at=request.occurred_at)
            )
            deleted = {
                "users": await connection.fetchval(*SQL.delete_user(**which)),
                "orders": await connection.fetchval(*SQL.anonymize_orders(**which)),
                "order_items": await connection.fetchval(*SQL.anonymize_order_items(**which)),
                "staged_lines": await connection.fetchval(*SQL.anonymize_staged_lines(**which)),
                "import_rejects": await connection.fetchval(*SQL.delete_rejects_of_user(**which)),
            }
            rows = {place: count + before.get(place, 0) for place, count in deleted.items()}
            await connection.execute(*SQL.count_erased(**which, rows=rows))
            await outbox.append_tombstone(connection, USERS, tenant, f"{tenant}:{user_id}")
            await outbox.append(connection, ERASURE_RECEIPTS, [UserErased.of(request, "sync", rows)])

    async def erased(self, connection: Connection, tenant: str, users: Sequence[str]) -> dict[str, datetime]:
        """Erased user → until when nothing that was said of them counts."""
        rows = await connection.fetch(*SQL.erased_users(tenant=tenant, ids=list(users)))
        return {row["user_id"]: row["erased_at"] for row in rows}
