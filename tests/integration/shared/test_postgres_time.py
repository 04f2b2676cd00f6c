"""The time that a request waits for a Postgres that hangs, and the state of the pool after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic

import asyncpg
import pytest
import pytest_asyncio

from shared.postgres import UNAVAILABLE, Database
from shared.settings import PostgresSettings
from tests.support.proxy import Proxy
from tests.support.stack import Database as OwnDatabase
from tests.support.waiting import eventually

SECONDS = 1.0
POOL = 2


@pytest_asyncio.fixture
async def proxy(empty_database: OwnDatabase) -> AsyncIterator[Proxy]:
    async with Proxy(empty_database.url) as running:
        yield running


@pytest_asyncio.fixture
async def pool(proxy: Proxy, empty_database: OwnDatabase) -> AsyncIterator[Database]:
    """The pool of a process, which waits as long as it takes."""
    settings = PostgresSettings(
        database_url=proxy.url(empty_database.url), database_pool_size=POOL, database_request_seconds=SECONDS
    )
    opened = Database(settings, "public")
    await opened.start()
    yield opened
    proxy.resume()
    await opened.stop()


async def _in_transaction(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.fetchval("SELECT 1")


USES: list[Callable[[Database], Awaitable[object]]] = [
    lambda database: database.fetch("SELECT 1"),
    lambda database: database.fetchrow("SELECT 1"),
    lambda database: database.fetchval("SELECT 1"),
    lambda database: database.execute("SELECT 1"),
    _in_transaction,
]


@pytest.mark.parametrize("connected", [False, True])
async def test_a_server_that_hangs_is_unavailable_after_a_timeout(
    pool: Database, proxy: Proxy, *, connected: bool
) -> None:
    requests = pool.for_requests()
    if connected:
        await asyncio.gather(*(pool.fetchval("SELECT pg_sleep(0.1)") for _ in range(POOL)))
    proxy.hang()

    began = monotonic()
    # More than there are connections: some wait for one.
    results = await asyncio.gather(
        *(use(requests) for use in USES for _ in range(POOL)), return_exceptions=True
    )

    assert all(isinstance(result, UNAVAILABLE) for result in results), results
    assert monotonic() - began < 30, "asyncpg's own limit for a statement is two minutes"
    proxy.resume()

    async def is_back() -> bool:
        again = await asyncio.gather(
            *(use(requests) for use in USES for _ in range(POOL)), return_exceptions=True
        )
        return not any(isinstance(result, BaseException) for result in again)

    await eventually(is_back)


async def test_a_statement_that_takes_too_long_is_ended_on_the_server_too(
    pool: Database, empty_database: OwnDatabase
) -> None:
    with pytest.raises(TimeoutError):
        await pool.for_requests().fetchval("SELECT pg_sleep(3600)")

    connection = await asyncpg.connect(empty_database.url)
    try:
        await eventually(
            lambda: connection.fetchval(
                "SELECT count(*) = 0 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(3%'"
                " AND state = 'active' AND pid <> pg_backend_pid()"
            )
        )
    finally:
        await connection.close()


async def test_a_transaction_that_takes_too_long_or_fails_leaves_nothing_behind(pool: Database) -> None:
    await pool.execute("CREATE TABLE things (id int)")

    async def insert(database: Database, number: int, then: str) -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO things VALUES ($1)", number)
            await connection.execute(then)

    with pytest.raises(TimeoutError):
        await insert(pool.for_requests(), 1, "SELECT pg_sleep(3600)")
    for database in (pool, pool.for_requests()):
        with pytest.raises((asyncpg.DivisionByZeroError, TimeoutError)):
            await insert(database, 2, "SELECT 1 / 0")
    await insert(pool, 3, "SELECT 1")

    assert [await pool.fetchval("SELECT sum(id) FROM things") for _ in range(2 * POOL)] == [3] * (2 * POOL)


async def test_an_error_inside_a_transaction_is_the_one_that_is_raised(pool: Database) -> None:
    requests = pool.for_requests()

    async def fail() -> None:
        async with requests.transaction() as connection:
            connection.terminate()
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    await pool.execute("SELECT 1")
