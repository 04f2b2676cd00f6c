"""Deleted users, and the rows of a dataset that remain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.engine.store.datasets import Part
from services.engine.store.statements import SQL

if TYPE_CHECKING:
    from shared.postgres import Connection, Database


async def deletion_times(database: Database, tenant: str) -> dict[str, int]:
    """Return the deleted users, each with the epoch second until which their data may not be used."""
    rows = await database.fetch(*SQL.deleted_users(tenant=tenant))
    return {row["user_id"]: row["until"] for row in rows}


async def deleted_since(database: Database, tenant: str, since: datetime) -> list[str]:
    """Return the users who were deleted after a time."""
    return [row["user_id"] for row in await database.fetch(*SQL.deleted_since(tenant=tenant, since=since))]


async def count_received(database: Database, tenant: str, users: Sequence[str]) -> int:
    """Return how many rows of users, still in use, were received without an import."""
    return int(await database.fetchval(*SQL.count_received_of(tenant=tenant, users=list(users))))


async def delete(connection: Connection, tenant: str, users: Sequence[str]) -> None:
    """Mark users as deleted: none of their data up to now may be used any more."""
    await connection.execute(*SQL.delete_users(tenant=tenant, users=list(users)))


async def replace_part(connection: Connection, dataset: int, key: str, fresh: Part) -> None:
    """Replace an object of a dataset by one without the rows of deleted users."""
    values: dict[str, Any] = {"fresh": fresh.key, "rows": fresh.rows, "bytes": fresh.bytes}
    await connection.execute(*SQL.replace_dataset_part(dataset=dataset, key=key, **values))
