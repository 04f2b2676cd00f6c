"""Erasure of users: delete their lists from every generation, in Postgres and in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.loader.domain import RECIPES_WITHOUT_USERS
from services.loader.store.caches import filled_key, list_key
from services.loader.store.sql import SQL
from shared import outbox
from shared.errors import Transient
from shared.events import UserErased, UserErasureRequested
from shared.events.topics import ERASURE_RECEIPTS
from shared.redis import CLIENT_ERRORS, unlink_all

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from shared.postgres import Database

_WITHOUT_USERS = list(RECIPES_WITHOUT_USERS)


class Erasures:
    """Deletes the data of users. Every method may be interrupted and called again."""

    def __init__(self, client: Redis, database: Database) -> None:
        self._client = client
        self._database = database

    async def erase(self, request: UserErasureRequested) -> None:
        """Delete the lists of a user and publish the receipt; Transient while Redis is unavailable."""
        tenant, user_id = request.tenant, request.user_id
        rows = await self._delete_from_postgres(request)
        await self._delete_from_redis(tenant, [user_id])
        async with self._database.transaction() as connection:
            await outbox.append(connection, ERASURE_RECEIPTS, [UserErased.of(request, "loader", rows)])

    async def delete_erased(self, tenant: str) -> None:
        """Delete lists from Redis that were copied before they were deleted from Postgres."""
        rows = await self._database.fetch(*SQL.erased_users(tenant=tenant))
        await self._delete_from_redis(tenant, [row["user_id"] for row in rows])

    async def end(self, tenant: str, user_id: str) -> None:
        """End an erasure when no run that started before it is left: loads no longer check for the user."""
        await self._database.execute(*SQL.end_erasure(tenant=tenant, user_id=user_id))

    async def _delete_from_postgres(self, request: UserErasureRequested) -> dict[str, int]:
        """Delete rows; return their number by table, including those that an earlier attempt deleted."""
        tenant, user_id = request.tenant, request.user_id
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_erasures(tenant=tenant))
            before = await connection.fetchval(
                *SQL.add_erased_user(
                    tenant=tenant,
                    user_id=user_id,
                    erasure_id=request.erasure_id,
                    erased_at=request.occurred_at,
                )
            )
            lists = await connection.fetchval(
                *SQL.delete_lists_of_user(
                    tenant=tenant, user_id=user_id, recipes_without_users=_WITHOUT_USERS
                )
            )
            rejects = await connection.fetch(*SQL.delete_rejects_of_user(tenant=tenant, user_id=user_id))
            rows = {
                "lists": lists + before.get("lists", 0),
                "rejects": len(rejects) + before.get("rejects", 0),
            }
            await connection.execute(*SQL.count_erased(tenant=tenant, user_id=user_id, rows=rows))
        return rows

    async def _delete_from_redis(self, tenant: str, users: Sequence[str]) -> None:
        if not users:
            return
        rows = await self._database.fetch(
            *SQL.lists_in_redis(tenant=tenant, recipes_without_users=_WITHOUT_USERS)
        )
        keys = [list_key(tenant, row["generation"], row["recipe"], user) for row in rows for user in users]
        try:
            if keys:
                await unlink_all(self._client, keys)
            for generation, count in {row["generation"]: row["rows"] for row in rows}.items():
                # Only if all lists of the generation exist (xx): their number is smaller now.
                await self._client.set(filled_key(tenant, generation), count, xx=True)
        except CLIENT_ERRORS as error:
            raise Transient(f"Redis did not delete lists of users: {error!r}") from error
