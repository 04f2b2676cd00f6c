"""The connection pool of a process, which connects on first use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

import asyncpg
import orjson
import structlog

from shared.postgres.notices import Notice, Notices
from shared.settings import PostgresSettings

if TYPE_CHECKING:
    from typing import TypeAlias

    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]

UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # An idle connection of the pool whose server has stopped.
    asyncpg.InternalClientError,
    # A login that fails: a password that is being changed, a database that is being restored.
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    # The server starts or stops, ended the session or statement, or has no room left.
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    # Conflicts with other transactions.
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    # The server has become a standby.
    asyncpg.ReadOnlySQLTransactionError,
)
"""The exceptions of asyncpg if Postgres is not reachable or busy: the same statement may work later."""

CANCEL_SECONDS = 0.3
"""Time that the cancellation of a statement may take before its connection is closed; arbitrary.

asyncpg cancels a statement over another connection and waits for that, without a limit if the server hangs.
"""

log = structlog.get_logger()


class Database:
    """The connection pool of one process, in the schema of its service. It connects on first use."""

    name = "postgres"

    def __init__(self, settings: PostgresSettings, schema: str) -> None:
        """Use `schema` as the search path."""
        self._settings = settings
        self._schema = schema
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._owner = self
        self._seconds: float | None = None
        self._notices = Notices(self._connect_alone, schema)

    def for_requests(self, seconds: float | None = None) -> Database:
        """Return the same pool, whose statements and transactions raise TimeoutError after `seconds`.

        The default is `database_request_seconds`; pass more for a request that reads much. The time includes
        the wait for a connection.
        """
        bounded = Database(self._settings, self._schema)
        bounded._owner = self._owner
        bounded._seconds = self._settings.database_request_seconds if seconds is None else seconds
        return bounded

    async def start(self) -> None:
        """Create the pool, without a connection (`min_size=0`), so that no server is needed."""
        self._pool = await asyncpg.create_pool(
            self._settings.secured_url,
            min_size=0,
            max_size=self._settings.database_pool_size,
            timeout=5,
            command_timeout=120,
            max_inactive_connection_lifetime=60,
            init=_codecs,
            # Handlers leave no session state, so a reset would be a wasted round trip.
            reset=_no_reset,
            server_settings={"search_path": self._schema, "application_name": self._schema},
        )

    def notices(self, table: str) -> Notice:
        """Return notices of new rows in a table of the schema; they share one connection."""
        return self._notices.of(table) if self._owner is self else self._owner.notices(table)

    async def stop(self) -> None:
        """Close the pool; after five seconds, terminate its connections."""
        await self._notices.stop()
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def _connect_alone(self) -> asyncpg.Connection[asyncpg.Record]:
        """Return a connection outside of the pool."""
        return await asyncpg.connect(
            self._settings.secured_url,
            timeout=5,
            server_settings={"application_name": f"{self._schema}-notices"},
        )

    @property
    def schema(self) -> str:
        """Return the schema of unqualified names, which is the name of the service."""
        return self._schema

    def alive(self) -> str | None:
        """Return None: a pool never needs a restart."""
        return None

    def ready(self) -> str | None:
        """Return why the pool is not started, else None; requests notice themselves if Postgres is down."""
        return None if self._pool else "the Postgres pool is not started"

    @property
    def pool(self) -> asyncpg.Pool[asyncpg.Record]:
        """Return the pool, for COPY and cursors; raises RuntimeError before `start`."""
        if self._owner is not self:
            return self._owner.pool
        if self._pool is None:
            message = "the database is used before start()"
            raise RuntimeError(message)
        return self._pool

    async def fetch(self, text: str, *args: Any) -> list[asyncpg.Record]:
        """Return all rows; raises one of `UNAVAILABLE` if Postgres is not reachable or busy."""
        async with self._connection() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(text, *args)
            return rows

    async def fetchrow(self, text: str, *args: Any) -> asyncpg.Record | None:
        """Return the first row, or None; raises as `fetch` does."""
        async with self._connection() as connection:
            return await connection.fetchrow(text, *args)

    async def fetchval(self, text: str, *args: Any) -> Any:
        """Return the first column of the first row, or None; raises as `fetch` does."""
        async with self._connection() as connection:
            return await connection.fetchval(text, *args)

    async def execute(self, text: str, *args: Any) -> str:
        """Return the command tag, such as `DELETE 3`; raises as `fetch` does."""
        async with self._connection() as connection:
            return str(await connection.execute(text, *args))

    @asynccontextmanager
    async def transaction(
        self,
        isolation: Literal["read_committed", "repeatable_read", "serializable"] = "read_committed",
        *,
        readonly: bool = False,
    ) -> AsyncIterator[Connection]:
        """Yield a connection in a transaction, which commits at the end and rolls back on any exception."""
        async with self._connection() as connection:
            transaction = connection.transaction(isolation=isolation, readonly=readonly)
            try:
                await transaction.start()
                yield connection
            except BaseException:
                await self._roll_back(connection, transaction)
                raise
            await transaction.commit()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        async with asyncio.timeout(self._seconds):
            connection = await self.pool.acquire()
            try:
                yield connection
            finally:
                await self._release(connection)

    async def _release(self, connection: Connection) -> None:
        timeout = None if self._seconds is None else CANCEL_SECONDS
        try:
            await self.pool.release(connection, timeout=timeout)
        except TimeoutError:
            log.warning("postgres.statement_not_cancelled", schema=self._schema)

    async def _roll_back(self, connection: Connection, transaction: Any) -> None:
        """Roll back; terminate the connection if that fails, so that the caller's exception is raised."""
        try:
            async with asyncio.timeout(None if self._seconds is None else CANCEL_SECONDS):
                await transaction.rollback()
        except Exception as error:  # noqa: BLE001 - Postgres rolls back when the connection ends
            log.warning("postgres.not_rolled_back", schema=self._schema, error=repr(error))
            with suppress(asyncpg.InterfaceError):  # it is lost and no longer in the pool
                connection.terminate()


async def _codecs(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Convert json and jsonb to and from Python objects; binary jsonb starts with a version byte."""
    await connection.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
        schema="pg_catalog",
        format="binary",
    )
    await connection.set_type_codec(
        "json", encoder=orjson.dumps, decoder=orjson.loads, schema="pg_catalog", format="binary"
    )


async def _no_reset(connection: object) -> None:
    """Do nothing to a connection that returns to the pool."""
