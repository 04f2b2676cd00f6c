"""Dropping old generations: their partitions, without blocking readers, and their keys in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from services.loader.store.sql import SQL

if TYPE_CHECKING:
    from services.loader.store.caches import Caches
    from shared.postgres import Connection, Database

log = structlog.get_logger()


class GenerationCleanup:
    """Drops generations that are neither active nor kept for a rollback; one process at a time."""

    def __init__(self, database: Database, caches: Caches, *, keep: int) -> None:
        self._database = database
        self._caches = caches
        self._keep = keep

    async def run(self) -> None:
        """Drop old generations; each step continues what an interrupted run has left."""
        for row in await self._database.fetch(*SQL.tenants()):
            await self._mark_for_dropping(row["tenant"])
        async with self._database.pool.acquire() as connection:
            if not await connection.fetchval(*SQL.lock_cleanup()):
                return
            try:
                await self._drop(connection)
            finally:
                await connection.fetchval(*SQL.unlock_cleanup())

    async def _mark_for_dropping(self, tenant: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenant(tenant=tenant))
            await connection.execute(*SQL.mark_for_dropping(tenant=tenant, keep=self._keep))

    async def _drop(self, connection: Connection) -> None:
        # Detaching can't run in a transaction; it waits for queries that have started before it.
        for row in await connection.fetch(*SQL.detach_commands()):
            await connection.execute(row["command"])
        for row in await connection.fetch(*SQL.to_drop()):
            if row["attached"]:
                continue  # marked after the commands were listed
            generation, partition = row["generation"], row["partition"]
            if row["present"]:
                command = await connection.fetchval(*SQL.detached_entries_command(partition=partition))
                await self._caches.delete_generation(row["tenant"], generation, command)
                await connection.execute(*SQL.drop_detached(detached=partition))
            await connection.execute(*SQL.dropped(generation=generation))
            log.info("loader.generation_dropped", tenant=row["tenant"], generation=generation)
        for row in await connection.fetch(*SQL.leftovers()):
            await connection.execute(*SQL.drop_detached(detached=row["staging"]))
            log.info("loader.leftover_dropped", staging=row["staging"])
