"""Log events made from what happened to runs and to jobs of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.trainer.store.sql import SQL

if TYPE_CHECKING:
    from shared.postgres import Database


@dataclass(frozen=True, slots=True)
class EventCursor:
    """The place of an event in the log."""

    at: datetime
    stream: str
    id: str


class LogEvents:
    """The events, made from the rows of runs, steps and jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def streams(self, tenants: Sequence[str]) -> list[Mapping[str, Any]]:
        """Return the streams that have events, with their first and last time."""
        return [dict(row) for row in await self._database.fetch(*SQL.log_streams(tenants=list(tenants)))]

    async def page(
        self,
        tenants: Sequence[str],
        streams: Sequence[str],
        begin: datetime | None,
        end: datetime | None,
        after: EventCursor | None,
        limit: int,
    ) -> list[Mapping[str, Any]]:
        """Return events from `begin` (inclusive) to `end` after a place, oldest first."""
        rows = await self._database.fetch(
            *SQL.log_events(
                tenants=list(tenants),
                streams=list(streams),
                begin=begin,
                end=end,
                after_at=after.at if after else None,
                after_stream=after.stream if after else None,
                after_id=after.id if after else None,
                limit=limit,
            )
        )
        return [dict(row) for row in rows]
