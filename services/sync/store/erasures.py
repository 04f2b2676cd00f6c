"""Erase users: delete their states and rejected rows that name them, and anonymize their orders."""

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
    """Removes users from sync's tables. A repetition changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def erase(self, request: UserErasureRequested) -> None:
        """Erase a user, and publish the tombstone and the receipt in the same transaction."""
        tenant, user_id = request.tenant, request.user_id
        user = {"tenant": tenant, "user_id": user_id}
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_catalogue(tenant=tenant))
            earlier = await connection.fetchval(
                *SQL.add_erased_user(**user, erasure_id=request.erasure_id, erased_at=request.occurred_at)
            )
            erased = {
                "users": await connection.fetchval(*SQL.delete_user(**user)),
                "orders": await connection.fetchval(*SQL.anonymize_orders(**user)),
                "order_items": await connection.fetchval(*SQL.anonymize_order_items(**user)),
                "staged_lines": await connection.fetchval(*SQL.anonymize_staged_lines(**user)),
                "import_rejects": await connection.fetchval(*SQL.delete_rejects_of_user(**user)),
            }
            rows = {table: count + earlier.get(table, 0) for table, count in erased.items()}
            await connection.execute(*SQL.save_erased_rows(**user, rows=rows))
            await outbox.append_tombstone(connection, USERS, tenant, f"{tenant}:{user_id}")
            await outbox.append(connection, ERASURE_RECEIPTS, [UserErased.of(request, "sync", rows)])

    async def erased(self, connection: Connection, tenant: str, users: Sequence[str]) -> dict[str, datetime]:
        """Return when each of the users was erased; users that were not are omitted."""
        rows = await connection.fetch(*SQL.erased_users(tenant=tenant, ids=list(users)))
        return {row["user_id"]: row["erased_at"] for row in rows}
