"""The log of interactions: each event is stored once, and counted in the same transaction.

See docs/decisions/0011-events-once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

from services.tracker.domain.fingerprint import fingerprint
from services.tracker.domain.orders import LineState
from services.tracker.store.claims import NO_CLAIMS, ClaimResult, resolve_repeated
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
    "withheld",
)
_values = attrgetter(*_COLUMNS)


@dataclass(frozen=True, slots=True)
class AddResult:
    """The outcome of a batch: rows written, events that were already in the log, and new conflicts.

    A conflict is an event whose content differs from that stored under its id. `claims` is the outcome of
    those repeated events that are about the shop's orders.
    """

    stored: int
    repeated: int
    conflicting: int
    claims: ClaimResult = NO_CLAIMS


class InteractionLog:
    """The log in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, events: Sequence[InteractionRecorded]) -> AddResult:
        """Insert and count the events that are new, in one transaction. A repetition changes nothing."""
        first: dict[tuple[str, str], InteractionRecorded] = {}
        repeated = [
            event for event in events if first.setdefault((event.tenant, event.event_id), event) is not event
        ]
        batch = list(first.values())
        async with self._database.transaction() as connection:
            rows = await connection.fetch(*SQL.add_interactions(**_columns(batch)))
            repeated += [batch[row["place"] - 1] for row in rows]
            conflicting, claims = (
                await resolve_repeated(connection, repeated, _columns) if repeated else (0, NO_CLAIMS)
            )
        return AddResult(len(batch) - len(rows), len(repeated), conflicting, claims)

    async def save_line_states(self, states: Sequence[LineState]) -> dict[tuple[str, str], bool]:
        """Store which order lines are returned, and return it by (tenant, event id).

        A line keeps the state of its order's highest revision, in whatever order the states arrive.
        """
        newest = {(state.tenant, state.event_id): state for state in sorted(states, key=_revision)}
        tenants, event_ids, revisions, returned = zip(*(newest[key] for key in sorted(newest)), strict=True)
        rows = await self._database.fetch(
            *SQL.save_line_states(tenant=tenants, event_id=event_ids, revision=revisions, returned=returned)
        )
        return {(row["tenant"], row["event_id"]): row["returned"] for row in rows}

    async def newest_events(
        self, tenant: str, *, user_id: str | None, session_id: str | None, limit: int
    ) -> list[dict[str, Any]]:
        """Return the newest events of a user, or of a session if `user_id` is None."""
        statement = (
            SQL.events_of_user(tenant=tenant, user_id=user_id, limit=limit)
            if user_id is not None
            else SQL.events_of_session(tenant=tenant, session_id=session_id, limit=limit)
        )
        return [dict(row) for row in await self._database.fetch(*statement)]

    async def stored_since(self, tenant: str, since: datetime, limit: int) -> list[dict[str, Any]]:
        """Return the newest events that were stored after an instant, newest first."""
        statement = SQL.events_stored_since(tenant=tenant, since=since, limit=limit)
        return [dict(row) for row in await self._database.fetch(*statement)]

    async def conflicts(self, tenant: str, limit: int) -> list[dict[str, Any]]:
        """Return the newest events whose content differs from that stored under their ids."""
        return [dict(row) for row in await self._database.fetch(*SQL.conflicts(tenant=tenant, limit=limit))]

    async def counts(self, tenant: str) -> dict[str, int]:
        """Return the number of events in the log by event type."""
        rows = await self._database.fetch(*SQL.counts(tenant=tenant))
        return {row["event_type"]: row["rows"] for row in rows}


def _revision(state: LineState) -> int:
    return state.revision


def _columns(batch: Sequence[InteractionRecorded]) -> dict[str, Sequence[Any]]:
    """Return the batch by column. A column without values is empty; `unnest` fills it with NULL."""
    columns = zip(*map(_values, batch), strict=True)
    return {
        **{
            name: () if column.count(None) == len(column) else column
            for name, column in zip(_COLUMNS, columns, strict=True)
        },
        "fingerprint": [fingerprint(event) for event in batch],
    }
