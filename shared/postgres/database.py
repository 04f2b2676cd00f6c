"""The pool of a process: nothing connects before the first use."""

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
    # What a pooled connection says whose server went away while nobody used it.
    asyncpg.InternalClientError,
    # It refuses to let us in: a password that is being changed, a database that is being restored.
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    # It starts, stops, was told to end our session or statement, or has no room left.
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    # Others were in the way.
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    # The server that we reached has become a standby.
    asyncpg.ReadOnlySQLTransactionError,
)
"""What asyncpg raises when Postgres is away or busy: the same statement may work later."""


TAKE_BACK_SECONDS = 0.3
"""How long a statement that took too long may take to end; then its connection is cut.

asyncpg has statements cancelled over another connection, and waits for that: for ever where the server hangs.
"""

log = structlog.get_logger()


class Database:
    """The pool of one process, in the schema of its service. Nothing connects before the first use."""

    name = "postgres"

    def __init__(self, settings: PostgresSettings, schema: str) -> None:
        """Remember where to connect; `schema` becomes the search path."""
        self._settings = settings
        self._schema = schema
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._owner = self
        self._seconds: float | None = None
        self._notices = Notices(self._connect_alone, schema)

    def for_requests(self, seconds: float | None = None) -> Database:
        """Return the same pool for uses that may take so long each, else TimeoutError.

        `seconds` is `database_request_seconds` unless a request is known to read much. A use is one statement
        or one transaction; the time includes the wait for a connection.
        """
        bounded = Database(self._settings, self._schema)
        bounded._owner = self._owner
        bounded._seconds = self._settings.database_request_seconds if seconds is None else seconds
        return bounded

    async def start(self) -> None:
        """Make the pool; with no connection kept open at least, this needs no server."""
        self._pool = await asyncpg.create_pool(
            self._settings.database_url,
            min_size=0,
            max_size=self._settings.database_pool_size,
            timeout=5,
            command_timeout=120,
            max_inactive_connection_lifetime=60,
            init=_codecs,
            # Handlers leave no session state behind, so the reset round trip would be wasted.
            reset=_no_reset,
            server_settings={"search_path": self._schema, "application_name": self._schema},
        )

    def notices(self, table: str) -> Notice:
        """Return the notices of new rows in a table of the schema; all of them share one connection."""
        return self._notices.of(table) if self._owner is self else self._owner.notices(table)

    async def stop(self) -> None:
        """Close within five seconds, whatever the connections do."""
        await self._notices.stop()
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def _connect_alone(self) -> asyncpg.Connection[asyncpg.Record]:
        """Connect outside of the pool."""
        return await asyncpg.connect(
            self._settings.database_url,
            timeout=5,
            server_settings={"application_name": f"{self._schema}-notices"},
        )

    @property
    def schema(self) -> str:
        """The schema that unqualified names are in; the name of the service."""
        return self._schema

    def alive(self) -> str | None:
        """A pool is never stuck for good."""
        return None

    def ready(self) -> str | None:
        """Ready once started: each request finds out for itself whether Postgres is there."""
        return None if self._pool else "the Postgres pool is not started"

    @property
    def pool(self) -> asyncpg.Pool[asyncpg.Record]:
        """The pool, for COPY and cursors."""
        if self._owner is not self:
            return self._owner.pool
        if self._pool is None:
            message = "the database is used before start()"
            raise RuntimeError(message)
        return self._pool

    async def fetch(self, text: str, *args: Any) -> list[asyncpg.Record]:
        """All rows."""
        async with self._connection() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(text, *args)
            return rows

    async def fetchrow(self, text: str, *args: Any) -> asyncpg.Record | None:
        """The first row, or None."""
        async with self._connection() as connection:
            return await connection.fetchrow(text, *args)

    async def fetchval(self, text: str, *args: Any) -> Any:
        """The first column of the first row."""
        async with self._connection() as connection:
            return await connection.fetchval(text, *args)

    async def execute(self, text: str, *args: Any) -> str:
        """The command tag."""
        async with self._connection() as connection:
            return str(await connection.execute(text, *args))

    @asynccontextmanager
    async def transaction(
        self,
        isolation: Literal["read_committed", "repeatable_read", "serializable"] = "read_committed",
        *,
        readonly: bool = False,
    ) -> AsyncIterator[Connection]:
        """A connection inside a transaction: commits at the end, rolls back on any error."""
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
        take_back = None if self._seconds is None else TAKE_BACK_SECONDS
        try:
            await self.pool.release(connection, timeout=take_back)
        except TimeoutError:
            log.warning("postgres.statement_not_cancelled", schema=self._schema)

    async def _roll_back(self, connection: Connection, transaction: Any) -> None:
        """Roll back, or cut the connection where that fails; the error that led here is the one to raise."""
        try:
            async with asyncio.timeout(None if self._seconds is None else TAKE_BACK_SECONDS):
                await transaction.rollback()
        except Exception as error:  # noqa: BLE001 - whatever it is, Postgres rolls back without us
            log.warning("postgres.not_rolled_back", schema=self._schema, error=repr(error))
            with suppress(asyncpg.InterfaceError):  # it was lost, and has left the pool
                connection.terminate()


async def _codecs(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Python objects in and out of json and jsonb (whose binary form starts with a version byte)."""
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
    """Leave the connection as it is."""
