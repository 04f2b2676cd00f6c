"""The deletion of prefixes of the data bucket, old models, and rows that are no longer needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.engine.domain.resources import DELETE_SECONDS
from services.engine.store.statements import SQL

if TYPE_CHECKING:
    from shared.postgres import Database


async def due_prefixes(database: Database) -> list[str]:
    """Return the prefixes of the data bucket that are to be deleted now."""
    return [row["prefix"] for row in await database.fetch(*SQL.due_garbage())]


async def forget_prefix(database: Database, prefix: str) -> None:
    """Record that a prefix was deleted."""
    await database.execute(*SQL.drop_garbage(prefix=prefix))


async def retire_models(database: Database, keep: int, hours: float) -> list[str]:
    """Retire old models that nothing uses, except for the newest `keep` of each solution.

    Return their folders.
    """
    async with database.transaction() as connection:
        locked = await connection.fetch(*SQL.models_to_retire(keep=keep))
        rows = await connection.fetch(*SQL.retire_models(ids=[row["id"] for row in locked]))
        for row in rows:
            await connection.execute(*SQL.add_garbage(prefix=row["folder"], hours=hours))
    return [row["folder"] for row in rows]


async def end_deletions(database: Database) -> None:
    """Delete the rows of resources whose deletion was shown for DELETE_SECONDS, in all accounts."""
    await database.execute(*SQL.end_deletions(account=None, delete_seconds=DELETE_SECONDS))


async def forget_replays(database: Database) -> None:
    """Delete the replays of dead letters that Kafka does not have any more."""
    await database.execute(*SQL.forget_replays())


async def forget_invocations(database: Database) -> None:
    """Delete the answers that no client asks for any more."""
    await database.execute(*SQL.forget_invocations())
