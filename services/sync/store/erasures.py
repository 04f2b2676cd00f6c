"""Erase users: delete their states and rejected rows that name them, and anonymize their orders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from services.sync.domain.webhooks.deliveries import names_user
from services.sync.store.statements import SQL
from shared import outbox
from shared.events import UserErased, UserErasureRequested, derived_id
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
            erased["inbox"] = await self._delete_deliveries(connection, tenant, user_id)
            rows = {table: count + earlier.get(table, 0) for table, count in erased.items()}
            await connection.execute(*SQL.save_erased_rows(**user, rows=rows))
            await outbox.append_tombstone(connection, USERS, tenant, f"{tenant}:{user_id}")
            await outbox.append(connection, ERASURE_RECEIPTS, [UserErased.of(request, "sync", rows)])

    async def request(
        self, connection: Connection, tenant: str, source_id: str, user_id: str | None, received_at: datetime
    ) -> bool:
        """Ask the engine to erase a user, or without one all users of a source's orders, from all services.

        Return False for a repeated request, and if there is nobody to erase.
        """
        request_id = derived_id(tenant, "erase", source_id, user_id or "", received_at)
        values = {"tenant": tenant, "source": source_id, "user_id": user_id, "received_at": received_at}
        added = await connection.fetchval(*SQL.add_privacy_request(**values, request_id=request_id))
        return added is not None

    async def erased(
        self, connection: Connection, tenant: str, users: Sequence[str], *, lock: bool = False
    ) -> dict[str, datetime]:
        """Return when each of the users was erased; users that were not are omitted.

        The caller holds the lock of the catalogue, or takes it with `lock`: an erasure then waits until the
        transaction ends, and erases what it wrote.
        """
        if lock:
            await connection.execute(*SQL.lock_catalogue(tenant=tenant))
        rows = await connection.fetch(*SQL.erased_users(tenant=tenant, ids=list(users)))
        return {row["user_id"]: row["erased_at"] for row in rows}

    async def _delete_deliveries(self, connection: Connection, tenant: str, user_id: str) -> int:
        """Delete the settled deliveries that name a user as a whole value; return how many.

        Those that still wait are merged without the user, if they are older than the erasure.
        """
        deleted, after = 0, 0
        text = user_id.encode()
        while rows := await connection.fetch(
            *SQL.deliveries_with_text(tenant=tenant, text=text, after=after)
        ):
            named = [row["seq"] for row in rows if names_user(row["body"], user_id)]
            deleted += await connection.fetchval(*SQL.delete_deliveries(seqs=named))
            after = rows[-1]["seq"]
        return deleted
