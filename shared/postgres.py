"""Postgres: a pool that needs no server to start, SQL by name, and migrations.

    python -m shared.postgres roles     make the login role and schema of every service (administrator)

SQL lives in `.sql` files, so that a test can prepare every statement against the migrated schema.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

import asyncpg
import orjson

from shared.settings import PostgresSettings, service_database_urls

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
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.DiskFullError,
)
"""What asyncpg raises when Postgres is away or busy: the same statement may work later."""

_HEADER = re.compile(r"^-- (\w+) --$", re.MULTILINE)
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")
_MIGRATION = re.compile(r"^(\d{4})_(pre|post)_[a-z0-9_]+\.sql$")


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement with `$n` placeholders and the names that they stand for."""

    name: str
    about: str
    text: str
    parameters: tuple[str, ...]

    def __call__(self, **values: Any) -> tuple[Any, ...]:
        """Return `(text, *arguments)`, ready for asyncpg; TypeError on a missing or unknown name."""
        if values.keys() != set(self.parameters):
            message = f"{self.name} takes {sorted(self.parameters)}, got {sorted(values)}"
            raise TypeError(message)
        return (self.text, *(values[name] for name in self.parameters))


class Statements:
    """The statements of one `.sql` file, by name: `SQL.similar_items(product_id=…)`."""

    def __init__(self, path: Path) -> None:
        """Read the file: `-- name --`, then `-- one sentence.`, then SQL with `:parameters`."""
        parts = _HEADER.split(path.read_text())[1:]
        self._statements = {
            name: _statement(name, body, path) for name, body in zip(parts[::2], parts[1::2], strict=True)
        }

    def __getattr__(self, name: str) -> Statement:
        """Find a statement."""
        try:
            return self._statements[name]
        except KeyError:
            raise AttributeError(name) from None

    def __iter__(self) -> Iterator[Statement]:
        """Every statement, for the test that prepares them all."""
        return iter(self._statements.values())


def statements(path: Path) -> Statements:
    """Read a file of named SQL."""
    return Statements(path)


def _statement(name: str, body: str, path: Path) -> Statement:
    about, _, sql = body.strip().partition("\n")
    if not about.startswith("-- "):
        message = f"{path}: say in one comment line what {name} is for"
        raise ValueError(message)
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    text = _PARAMETER.sub(number, sql.strip().removesuffix(";"))
    return Statement(name, about.removeprefix("-- "), text, tuple(names))


class Database:
    """The pool of one process, in the schema of its service. Nothing connects before the first use."""

    name = "postgres"

    def __init__(self, settings: PostgresSettings, schema: str) -> None:
        """Remember where to connect; `schema` becomes the search path."""
        self._settings = settings
        self._schema = schema
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

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

    async def stop(self) -> None:
        """Close within five seconds, whatever the connections do."""
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

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
        if self._pool is None:
            message = "the database is used before start()"
            raise RuntimeError(message)
        return self._pool

    async def fetch(self, text: str, *args: Any) -> list[asyncpg.Record]:
        """All rows."""
        rows: list[asyncpg.Record] = await self.pool.fetch(text, *args)
        return rows

    async def fetchrow(self, text: str, *args: Any) -> asyncpg.Record | None:
        """The first row, or None."""
        return await self.pool.fetchrow(text, *args)

    async def fetchval(self, text: str, *args: Any) -> Any:
        """The first column of the first row."""
        return await self.pool.fetchval(text, *args)

    async def execute(self, text: str, *args: Any) -> str:
        """The command tag."""
        return str(await self.pool.execute(text, *args))

    @asynccontextmanager
    async def transaction(
        self,
        isolation: Literal["read_committed", "repeatable_read", "serializable"] = "read_committed",
        *,
        readonly: bool = False,
    ) -> AsyncIterator[Connection]:
        """A connection inside a transaction: commits at the end, rolls back on any error."""
        async with (
            self.pool.acquire() as connection,
            connection.transaction(isolation=isolation, readonly=readonly),
        ):
            yield connection


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


async def migrate(database_url: str, service: str, directory: Path) -> list[str]:
    """Apply the migrations of `service` that are not applied yet; return their names.

    `NNNN_pre|post_what.sql`, forward only, each in one transaction, as the role of the service, one
    process at a time. A file that was changed after it was applied is refused.
    """
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext('endcap.migrate'))")
        await _ensure_role(connection, service)
        await connection.execute(f'SET ROLE "{service}"')
        await connection.execute(f'SET search_path = "{service}"')
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations "
            "(name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz DEFAULT now())"
        )
        applied = {row["name"]: row["sha256"] for row in await connection.fetch("SELECT * FROM migrations")}
        return [
            path.name
            for path in _migrations(directory)
            if await _apply(connection, path, applied.get(path.name))
        ]
    finally:
        await connection.close()


def _migrations(directory: Path) -> list[Path]:
    files = sorted(directory.glob("*.sql")) if directory.is_dir() else []
    for path in files:
        if not _MIGRATION.match(path.name):
            message = f"{path}: name it NNNN_pre_what.sql or NNNN_post_what.sql"
            raise ValueError(message)
    return files


async def _apply(connection: asyncpg.Connection[asyncpg.Record], path: Path, known: str | None) -> bool:
    text = path.read_text()  # noqa: ASYNC240 - nothing else runs in a migration
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    if known is not None:
        if known != sha256:
            message = f"{path} was changed after it was applied; add a new migration instead"
            raise RuntimeError(message)
        return False
    async with connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = '5s'")
        await connection.execute(text)
        await connection.execute("INSERT INTO migrations (name, sha256) VALUES ($1, $2)", path.name, sha256)
    return True


async def _ensure_role(connection: asyncpg.Connection[asyncpg.Record], service: str) -> None:
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", service):
        await connection.execute(f'CREATE ROLE "{service}" NOLOGIN')
    # The administrator may be no superuser (a managed Postgres): then it must be a member first.
    await connection.execute(f'GRANT "{service}" TO CURRENT_USER')
    await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{service}" AUTHORIZATION "{service}"')


async def make_roles(database_url: str, service_urls: list[str]) -> list[str]:
    """Make the login role and the schema that each service's URL names; return the roles' names."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext('endcap.migrate'))")
        names = []
        for url in map(urlsplit, service_urls):
            name, password = unquote(url.username or ""), unquote(url.password or "")
            if not re.fullmatch(r"[a-z]+", name):
                message = f"{name!r} is no role name: it is the service's name, in lower-case letters"
                raise ValueError(message)
            await _ensure_role(connection, name)
            quoted = await connection.fetchval("SELECT quote_literal($1::text)", password)
            await connection.execute(f'ALTER ROLE "{name}" LOGIN PASSWORD {quoted}')
            names.append(name)
        return names
    finally:
        await connection.close()


def _main(arguments: list[str]) -> int:
    if arguments != ["roles"]:
        sys.stderr.write("usage: python -m shared.postgres roles\n")
        return 2
    urls = service_database_urls()
    if not urls:
        sys.stderr.write("Set <SERVICE>_DATABASE_URL for each service whose role is to be made.\n")
        return 2
    names = asyncio.run(make_roles(PostgresSettings().database_url, urls))
    sys.stdout.write(f"roles: {', '.join(names)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(_main(sys.argv[1:]))
