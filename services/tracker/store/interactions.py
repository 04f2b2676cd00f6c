"""The log of interactions: each event once, counted when it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from services.tracker.domain.fingerprint import fingerprint
from services.tracker.store.claims import NOTHING, Settled, settle
from shared.events import InteractionRecorded
from shared.postgres import Database, statements

SQL = statements(Path(__file__).parents[1] / "queries.sql")

_COLUMNS = (
    "tenant",
    "event_id",
    "user_id",
    "session_id",
    "event_type",
    "sender_type",
    "item_id",
    "value",
    "quantity",
    "price",
    "order_id",
    "recommendation_id",
    "impression",
    "attribution_source",
    "properties",
    "city",
    "province",
    "country",
    "source",
    "occurred_at",
    "received_at",
    "historical",
)
_values = attrgetter(*_COLUMNS)


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a batch: rows written, events that were there before, ids used for two things.

    `settled` says more of those that were there before.
    """

    stored: int
    repeated: int
    conflicting: int
    settled: Settled = NOTHING


class Store:
    """The log in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, events: Sequence[InteractionRecorded]) -> Kept:
        """Write new events with their counts, in one transaction; repeating it changes nothing."""
        first: dict[tuple[str, str], InteractionRecorded] = {}
        again = [
            event for event in events if first.setdefault((event.tenant, event.event_id), event) is not event
        ]
        batch = list(first.values())
        async with self._database.transaction() as connection:
            rows = await connection.fetch(*SQL.keep(**_columns(batch)))
            again += [batch[row["place"] - 1] for row in rows]
            conflicting, settled = await settle(connection, again, _columns) if again else (0, NOTHING)
        return Kept(len(batch) - len(rows), len(again), conflicting, settled)

    async def events_of(
        self, tenant: str, *, user_id: str | None, session_id: str | None, limit: int
    ) -> list[dict[str, Any]]:
        """The newest events of a user, else of a session."""
        statement = (
            SQL.events_of_user(tenant=tenant, user_id=user_id, limit=limit)
            if user_id is not None
            else SQL.events_of_session(tenant=tenant, session_id=session_id, limit=limit)
        )
        return [dict(row) for row in await self._database.fetch(*statement)]

    async def conflicts(self, tenant: str, limit: int) -> list[dict[str, Any]]:
        """The newest events that say something else than what is kept under their ids."""
        return [dict(row) for row in await self._database.fetch(*SQL.conflicts(tenant=tenant, limit=limit))]

    async def counts(self, tenant: str) -> dict[str, int]:
        """Event type → how many rows the log has of it."""
        rows = await self._database.fetch(*SQL.counts(tenant=tenant))
        return {row["event_type"]: row["rows"] for row in rows}


def _columns(batch: Sequence[InteractionRecorded]) -> dict[str, Sequence[Any]]:
    """The batch by column. One without any value is empty: `unnest` fills it up with NULL, at no cost."""
    columns = zip(*map(_values, batch), strict=True)
    return {
        **{
            name: () if column.count(None) == len(column) else column
            for name, column in zip(_COLUMNS, columns, strict=True)
        },
        "fingerprint": [fingerprint(event) for event in batch],
    }
