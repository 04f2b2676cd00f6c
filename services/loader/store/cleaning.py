"""Old generations go: their partitions without stopping a reader, then their keys in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from services.loader.store.sql import SQL

if TYPE_CHECKING:
    from services.loader.store.caches import Caches
    from shared.postgres import Connection, Database

log = structlog.get_logger()


class Cleaning:
    """Drops what is neither served nor kept to go back to; one process at a time does it."""

    def __init__(self, database: Database, caches: Caches, *, keep: int) -> None:
        self._database = database
        self._caches = caches
        self._keep = keep

    async def clean(self) -> None:
        """One round. Each step finds what an earlier round, cut off anywhere, has left to do."""
        for row in await self._database.fetch(*SQL.tenants()):
            await self._give_up(row["tenant"])
        async with self._database.pool.acquire() as connection:
            if not await connection.fetchval(*SQL.only_one_cleans()):
                return
            try:
                await self._drop(connection)
            finally:
                await connection.fetchval(*SQL.done_cleaning())

    async def _give_up(self, tenant: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=tenant))
            await connection.execute(*SQL.give_up(tenant=tenant, keep=self._keep))

    async def _drop(self, connection: Connection) -> None:
        # Detaching can't run inside a transaction; it waits for the queries that began before it.
        for row in await connection.fetch(*SQL.detach_commands()):
            await connection.execute(row["command"])
        for row in await connection.fetch(*SQL.to_drop()):
            if row["attached"]:
                continue  # given up only since the commands were listed
            generation, partition = row["generation"], row["partition"]
            if row["present"]:
                command = await connection.fetchval(*SQL.detached_entries_command(partition=partition))
                await self._caches.forget(row["tenant"], generation, command)
                await connection.execute(*SQL.drop_detached(detached=partition))
            await connection.execute(*SQL.dropped(generation=generation))
            log.info("loader.generation_dropped", tenant=row["tenant"], generation=generation)
        for row in await connection.fetch(*SQL.leftovers()):
            await connection.execute(*SQL.drop_detached(detached=row["staging"]))
            log.info("loader.leftover_dropped", staging=row["staging"])
