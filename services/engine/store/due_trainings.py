"""The solutions, recommenders and models whose next training is due, held by the worker that begins it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.engine.domain.state import Recommender, Solution, SolutionVersion
from services.engine.store.resources import State, from_row
from services.engine.store.statements import SQL

if TYPE_CHECKING:
    from shared.postgres import Connection, Statement


async def lock_due_solutions(connection: Connection) -> list[Solution]:
    """Return solutions whose automatic training is due, held so that only one worker begins it."""
    return await _lock_due(connection, Solution, SQL.solutions_due)


async def lock_due_recommenders(connection: Connection) -> list[Recommender]:
    """Return recommenders whose model is a week old, held so that only one worker trains them."""
    return await _lock_due(connection, Recommender, SQL.recommenders_due)


async def lock_versions_with_new_items(connection: Connection, minutes: float) -> list[SolutionVersion]:
    """Return versions with incremental updates for which items have changed, held by this worker.

    Their models are at least `minutes` old.
    """
    return await _lock_due(connection, SolutionVersion, SQL.versions_to_renew, minutes=minutes)


async def _lock_due(
    connection: Connection, state: type[State], statement: Statement, **values: Any
) -> list[State]:
    """Return the rows of a statement that locks what is due, and that are still due when they are held.

    The snapshot of the first query may be older than the transaction that held the rows before and began what
    was due. Postgres returns a row all the same if that transaction did not change the row itself.
    """
    due = await connection.fetch(*statement(ids=None, **values))
    still_due = await connection.fetch(*statement(ids=[row["id"] for row in due], **values))
    return [state.of(resource) for row in still_due if (resource := from_row(row))]
