"""The content of a dataset: objects in the data bucket, and rows that were received without an import."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from services.engine.store.statements import SQL

if TYPE_CHECKING:
    from shared.postgres import Connection, Database

_BATCH_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet object of a dataset."""

    key: str
    rows: int
    bytes: int


async def parts(connection: Connection | Database, dataset: int) -> list[Part]:
    """Return the objects of a dataset, oldest first."""
    return [Part(**row) for row in await connection.fetch(*SQL.dataset_parts(dataset=dataset))]


async def add_parts(
    connection: Connection, dataset: int, import_id: int, added: Sequence[Part], *, replacing: bool
) -> list[str]:
    """Add the objects that an import has written; return the keys that they replace."""
    if replacing:
        dropped = [row["key"] for row in await connection.fetch(*SQL.drop_dataset_parts(dataset=dataset))]
    else:
        await connection.execute(*SQL.drop_import_parts(dataset=dataset, **{"import": import_id}))
        dropped = []
    for part in added:
        values: dict[str, Any] = {"import": import_id, "key": part.key, "rows": part.rows}
        await connection.execute(*SQL.add_dataset_part(dataset=dataset, bytes=part.bytes, **values))
    return dropped


async def received(
    database: Database, kind: str, tenant: str, ids: Sequence[str] | None = None, *, sessions: bool = False
) -> AsyncIterator[list[Any]]:
    """Yield the rows of a dataset that were received without an import, in batches of 5,000.

    With `ids` only the items with these ids. Interactions of sessions in which no user has logged in are
    left out unless `sessions` is true.
    """
    statement = _RECEIVED[kind] if ids is None else partial(SQL.put_items, ids=list(ids))
    if kind in _TRAINED:
        statement = partial(statement, sessions=sessions)
    async with database.transaction("repeatable_read", readonly=True) as connection:
        text, *arguments = statement(tenant=tenant)
        cursor = await connection.cursor(text, *arguments)
        while rows := await cursor.fetch(_BATCH_ROWS):
            yield rows


_TRAINED = frozenset({"INTERACTIONS", "DESCRIBED_INTERACTIONS"})
_RECEIVED: dict[str, Callable[..., tuple[Any, ...]]] = {
    "INTERACTIONS": partial(SQL.tracked_interactions, described=False),
    "DESCRIBED_INTERACTIONS": partial(SQL.tracked_interactions, described=True),
    "EVENTS": SQL.tracked_events,
    "ITEMS": partial(SQL.put_items, ids=None),
    "USERS": SQL.put_users,
}
