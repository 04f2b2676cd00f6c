"""Delete facts and figures that are older than their retention."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from services.analytics.metrics import DELETED
from services.analytics.store.sql import SQL

if TYPE_CHECKING:
    from services.analytics.settings import Settings
    from shared.postgres import Database

_ROWS = 5_000
"""Rows of one statement: a transaction of some hundredths of a second. Arbitrary."""
_DAY = timedelta(days=1)
_JOBS_KEPT = timedelta(days=7)
"""Jobs that ended are kept so long, for people; arbitrary."""


class Retention:
    """Deletes old rows in small transactions; several processes may do so at the same time."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def run(self) -> None:
        """Delete what is too old, table by table."""
        now: datetime = await self._database.fetchval(*SQL.database_time())
        for table, statement in self._statements(now):
            while True:
                tag = await self._database.execute(*statement)
                count = int(tag.rpartition(" ")[2])
                DELETED.labels(table).inc(count)
                if count < _ROWS:
                    break

    def _statements(self, now: datetime) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Yield a table and a statement that deletes a part of its old rows.

        A purchase may be attributed as long as it counts, so the touches before it and their answers are kept
        for one and two times the window longer.
        """
        settings = self._settings
        counted = now - settings.facts_kept - _DAY
        touched = counted - settings.attribution_window
        yield "purchases", SQL.delete_purchases(before=counted, rows=_ROWS)
        yield "orders", SQL.delete_old_orders(before=counted, rows=_ROWS)
        yield "counted_events", SQL.delete_counted_events(before=counted, rows=_ROWS)
        yield "visitors", SQL.delete_visitors(before=counted, rows=_ROWS)
        yield "answered_items", SQL.delete_answered_items(before=counted, rows=_ROWS)
        yield "early_marks", SQL.delete_early_marks(before=counted, rows=_ROWS)
        yield "logins", SQL.delete_logins(before=touched, rows=_ROWS)
        yield "touches", SQL.delete_touches(before=touched, rows=_ROWS)
        yield "servings", SQL.delete_servings(before=touched - settings.attribution_window, rows=_ROWS)
        yield "jobs", SQL.delete_jobs(before=now - _JOBS_KEPT, rows=_ROWS)
        results = now - timedelta(days=settings.sql_result_days)
        yield "query_executions", SQL.delete_query_executions(before=results, rows=_ROWS)
        yield "query_tables", SQL.delete_query_tables(before=results, rows=_ROWS)
        for grain, days in (("hour", settings.hours_days), ("day", settings.days_days)):
            before = now - timedelta(days=days)
            yield "figures", SQL.delete_figures(grain=grain, before=before, rows=_ROWS)
            yield "measures", SQL.delete_measures(grain=grain, before=before, rows=_ROWS)
