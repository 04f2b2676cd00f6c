"""The circuit breaker: what opens it, what closes it again, and how many queries wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import pytest

from services.recommender.store import SQL, guarded_database
from services.recommender.store.guarded_database import MAX_WAITING, QUERIES, GuardedDatabase
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from shared.postgres import Database

SOON, NEVER = 0.01, 60.0


class Scripted:
    """A database that raises an error or waits for an event, and counts what it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.answers = asyncio.Event()
        self.queries = 0
        self.cancelled = 0
        self.most = self._now = 0

    async def fetch(self, text: str, *_arguments: Any) -> list[Any]:
        self.queries += (text,) != SQL.ping()
        if self.error is not None:
            raise self.error
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await self.answers.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self._now -= 1
        return [text]


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_database, "PROBE_SECONDS", 0.01)


@pytest.fixture
async def guard() -> AsyncIterator[Any]:
    """Return a function that makes a guard, which is stopped at the end."""
    guards = []

    def make(database: Scripted, seconds: float) -> GuardedDatabase:
        guards.append(GuardedDatabase(cast("Database", database), seconds))
        return guards[-1]

    yield make
    for each in guards:
        await each.stop()


@pytest.mark.parametrize(
    ("error", "queries"),
    [
        (asyncpg.CharacterNotInRepertoireError("invalid byte sequence for encoding UTF8: 0x00"), 6),
        (asyncpg.DataError("invalid input for query argument $1"), 6),
        (ConnectionRefusedError("nobody listens"), GuardedDatabase.FAILURE_THRESHOLD),
    ],
)
async def test_only_failures_of_the_server_open_the_circuit(
    guard: Any, error: Exception, queries: int
) -> None:
    database = Scripted(error)
    guarded = guard(database, 1.0)

    answers = [await guarded.fetch("any question", "a") for _ in range(6)]

    assert answers == [None] * 6
    assert database.queries == queries


async def test_no_request_waits_until_a_probe_was_answered_in_time(guard: Any) -> None:
    database = Scripted(ConnectionRefusedError("nobody listens"))
    guarded = guard(database, 5.0)
    for _ in range(GuardedDatabase.FAILURE_THRESHOLD):
        await guarded.fetch("a question")

    assert await guarded.fetch("a question") is None
    assert database.queries == GuardedDatabase.FAILURE_THRESHOLD
    database.error = None
    database.answers.set()

    async def answered() -> bool:
        return bool(await guarded.fetch("a question") == ["a question"])

    await eventually(answered)


async def test_a_slow_query_is_not_cancelled(guard: Any) -> None:
    database = Scripted()
    guarded = guard(database, SOON)

    assert await guarded.fetch("a question") is None
    assert database.cancelled == 0

    database.answers.set()
    assert await guarded.fetch("a question") in (["a question"], None)
    assert database.cancelled == 0


async def test_few_queries_run_at_once_some_wait_and_more_get_no_answer(guard: Any) -> None:
    database = Scripted()
    guarded = guard(database, NEVER)
    queries = [asyncio.create_task(guarded.fetch("a question")) for _ in range(MAX_WAITING)]
    await eventually(lambda: database.queries == QUERIES)

    assert await guarded.fetch("one too many") is None

    database.answers.set()
    assert await asyncio.gather(*queries) == [["a question"]] * MAX_WAITING
    assert database.most == QUERIES


async def test_queries_that_wait_are_released_when_the_circuit_opens(guard: Any) -> None:
    database = Scripted()
    guarded = guard(database, NEVER)
    queries = [asyncio.create_task(guarded.fetch("a question")) for _ in range(MAX_WAITING)]
    await eventually(lambda: database.queries == QUERIES)

    for _ in range(GuardedDatabase.FAILURE_THRESHOLD):
        guarded._fail()

    assert await asyncio.gather(*queries) == [None] * MAX_WAITING
    assert database.queries == QUERIES


async def test_a_query_that_never_began_says_nothing_about_postgres(guard: Any) -> None:
    database = Scripted()
    guarded = guard(database, NEVER)
    queries = [asyncio.create_task(guarded.fetch("a question")) for _ in range(QUERIES)]
    await eventually(lambda: database.queries == QUERIES)
    guarded._timeout_seconds = SOON
    assert [await guarded.fetch("a question") for _ in range(5)] == [None] * 5

    database.answers.set()
    await asyncio.gather(*queries)
    guarded._timeout_seconds = NEVER
    assert await guarded.fetch("a question") == ["a question"]
