"""How long a request waits for Postgres that hangs, and what becomes of the pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic

import asyncpg
import pytest
import pytest_asyncio

from shared.postgres import UNAVAILABLE, Database
from shared.settings import PostgresSettings
from tests.support.lateness import lateness
from tests.support.proxy import Proxy
from tests.support.stack import Database as OwnDatabase
from tests.support.waiting import eventually

SECONDS = 0.3
POOL = 2


@pytest_asyncio.fixture
async def proxy(empty_database: OwnDatabase) -> AsyncIterator[Proxy]:
    async with Proxy(empty_database.url) as running:
        yield running


@pytest_asyncio.fixture
async def requests(proxy: Proxy, empty_database: OwnDatabase) -> AsyncIterator[Database]:
    settings = PostgresSettings(
        database_url=proxy.url(empty_database.url), database_pool_size=POOL, database_request_seconds=SECONDS
    )
    pool = Database(settings, "public")
    await pool.start()
    yield pool.for_requests()
    proxy.resume()
    await pool.stop()


async def _in_transaction(pool: Database) -> None:
    async with pool.transaction() as connection:
        await connection.fetchval("SELECT 1")


USES: list[Callable[[Database], Awaitable[object]]] = [
    lambda pool: pool.fetch("SELECT 1"),
    lambda pool: pool.fetchrow("SELECT 1"),
    lambda pool: pool.fetchval("SELECT 1"),
    lambda pool: pool.execute("SELECT 1"),
    _in_transaction,
]


@pytest.mark.parametrize("use", USES, ids=["fetch", "fetchrow", "fetchval", "execute", "transaction"])
@pytest.mark.parametrize("connected", [False, True])
async def test_a_server_that_hangs_is_away_after_a_moment(
    requests: Database, proxy: Proxy, use: Callable[[Database], Awaitable[object]], *, connected: bool
) -> None:
    if connected:
        await asyncio.gather(*(requests.fetchval("SELECT pg_sleep(0.01)") for _ in range(POOL)))
    proxy.hang()

    async with lateness() as late:
        began = monotonic()
        # More than there are connections: some wait for one.
        results = await asyncio.gather(*(use(requests) for _ in range(3 * POOL)), return_exceptions=True)
        took = monotonic() - began

    assert all(isinstance(result, UNAVAILABLE) for result in results)
    assert took < 2 + 10 * late.worst
    proxy.resume()
    await asyncio.gather(*(use(requests) for _ in range(3 * POOL)))


async def test_a_statement_that_takes_too_long_is_ended_on_the_server_too(
    requests: Database, empty_database: OwnDatabase
) -> None:
    with pytest.raises(TimeoutError):
        await requests.fetchval("SELECT pg_sleep(3600)")

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


async def test_a_transaction_that_takes_too_long_or_fails_leaves_nothing_behind(requests: Database) -> None:
    await requests.execute("CREATE TABLE things (id int)")

    async def insert(number: int, then: str) -> None:
        async with requests.transaction() as connection:
            await connection.execute("INSERT INTO things VALUES ($1)", number)
            await connection.execute(then)

    with pytest.raises(TimeoutError):
        await insert(1, "SELECT pg_sleep(3600)")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await insert(2, "SELECT 1 / 0")
    await insert(3, "SELECT 1")

    counts = await asyncio.gather(*(requests.fetchval("SELECT max(id) FROM things") for _ in range(5)))
    assert counts == [3] * 5
    assert await requests.fetchval("SELECT count(*) FROM things") == 1
