"""The circuit breaker opens for a server that fails, not for an invalid query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import asyncpg
import pytest

from services.recommender.store.guarded_database import GuardedDatabase

if TYPE_CHECKING:
    from shared.postgres import Database


class Failing:
    """A database that raises, and counts the queries."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.queries = 0

    async def fetch(self, _text: str, *_arguments: Any) -> list[Any]:
        self.queries += 1
        raise self.error


@pytest.mark.parametrize(
    ("error", "queries"),
    [
        (asyncpg.CharacterNotInRepertoireError("invalid byte sequence for encoding UTF8: 0x00"), 6),
        (asyncpg.DataError("invalid input for query argument $1"), 6),
        (ConnectionRefusedError("nobody listens"), GuardedDatabase.FAILURE_THRESHOLD),
    ],
)
async def test_only_failures_of_the_server_open_the_circuit(error: Exception, queries: int) -> None:
    database = Failing(error)
    guarded = GuardedDatabase(cast("Database", database), 1.0)

    answers = [await guarded.fetch("any question", "a") for _ in range(6)]

    assert answers == [None] * 6
    assert database.queries == queries
