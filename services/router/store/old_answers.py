"""Deletes old rows of interleaved and shadow answers, of which there is one for each answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.router.store import SQL

if TYPE_CHECKING:
    from shared.postgres import Database

ROWS: Final = 10_000
"""Rows of a statement, which takes less than a second. Arbitrary."""


class OldAnswers:
    """Deletes answers that are older than a number of days; replicas may do it at the same time."""

    def __init__(self, database: Database, days: int) -> None:
        self._database = database
        self._days = days

    async def delete(self) -> None:
        """Delete all old answers, some at a time."""
        for statement in (SQL.delete_old_interleaved, SQL.delete_old_shadows):
            deleted = ROWS
            while deleted == ROWS:
                deleted = await self._database.fetchval(*statement(days=self._days, rows=ROWS))
