"""The solutions, recommenders and models whose next training is due, held by the worker that begins it.

They are returned as rows: an unreadable one must not prevent the trainings of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.engine.domain.resources import Resource
from services.engine.store.rows import from_row
from services.engine.store.statements import SQL

if TYPE_CHECKING:
    from shared.postgres import Connection, Statement


async def lock_due_solutions(connection: Connection) -> list[Resource]:
    """Return solutions whose automatic training is due, held so that only one worker begins it."""
    return await _lock_due(connection, SQL.solutions_due)


async def lock_due_recommenders(connection: Connection) -> list[Resource]:
    """Return recommenders whose model is a week old, held so that only one worker trains them."""
    return await _lock_due(connection, SQL.recommenders_due)


async def lock_versions_with_new_items(connection: Connection, minutes: float) -> list[Resource]:
    """Return versions with incremental updates for which items have changed, held by this worker.

    Their models are at least `minutes` old.
    """
    return await _lock_due(connection, SQL.versions_to_renew, minutes=minutes)


async def _lock_due(connection: Connection, statement: Statement, **values: Any) -> list[Resource]:
    """Return the rows of a statement that locks what is due, and that are still due when they are held.

    The snapshot of the first query may be older than the transaction that held the rows before and began what
    was due. Postgres returns a row all the same if that transaction did not change the row itself.
    """
    due = await connection.fetch(*statement(ids=None, **values))
    still_due = await connection.fetch(*statement(ids=[row["id"] for row in due], **values))
    return [resource for row in still_due if (resource := from_row(row))]
