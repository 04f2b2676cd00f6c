"""What a dataset consists of now: objects in the data bucket, and the tracker's rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from services.engine.store.statements import SQL

if TYPE_CHECKING:
    from shared.postgres import Connection, Database

_ROWS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet object of a dataset."""

    key: str
    rows: int
    bytes: int


async def parts(connection: Connection | Database, dataset: int) -> list[Part]:
    """The objects of a dataset, oldest first."""
    return [Part(**row) for row in await connection.fetch(*SQL.dataset_parts(dataset=dataset))]


async def add_parts(
    connection: Connection, dataset: int, import_id: int, added: Sequence[Part], *, replacing: bool
) -> list[str]:
    """Add what an import has written; gives the keys that it replaces."""
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
    """Yield what has come in beside the imports of a dataset of this type, some thousand rows at a time.

    Of items only those of the `ids`, where there are any; of interactions those of sessions to which no user
    has logged in only with `sessions`.
    """
    statement = _RECEIVED[kind] if ids is None else partial(SQL.put_items, ids=list(ids))
    if kind in _TRAINED:
        statement = partial(statement, sessions=sessions)
    async with database.transaction("repeatable_read", readonly=True) as connection:
        text, *arguments = statement(tenant=tenant)
        cursor = await connection.cursor(text, *arguments)
        while rows := await cursor.fetch(_ROWS_AT_ONCE):
            yield rows


_TRAINED = frozenset({"INTERACTIONS", "DESCRIBED_INTERACTIONS"})
_RECEIVED: dict[str, Callable[..., tuple[Any, ...]]] = {
    "INTERACTIONS": partial(SQL.tracked_interactions, described=False),
    "DESCRIBED_INTERACTIONS": partial(SQL.tracked_interactions, described=True),
    "EVENTS": SQL.tracked_events,
    "ITEMS": partial(SQL.put_items, ids=None),
    "USERS": SQL.put_users,
}
