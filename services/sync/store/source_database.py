"""Rows of a Postgres database of a shop, read in one read-only transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import asyncpg

from services.sync.domain.pulls.configs import Query
from services.sync.store.source_api import checked_address
from shared.errors import Permanent, Transient

PAGE = 1_000
"""Rows of a page; arbitrary."""

_CONNECT_SECONDS = 10.0


class SourceDatabase:
    """A database of a source. A connection is made for each reading."""

    def __init__(self, config: Query, password: str, *, allow_internal: bool) -> None:
        self._config = config
        self._password = password
        self._allow_internal = allow_internal

    async def rows(self, first: date, last: date) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield pages of rows, whose values JSON can hold.

        Raises Transient if the database can't be reached, and Permanent for a query that it refuses.
        """
        config = self._config
        try:
            connection = await self._connect()
        except (OSError, TimeoutError, asyncpg.PostgresConnectionError) as error:
            raise Transient(f"The database at {config.host} can't be reached: {error}") from error
        except asyncpg.PostgresError as error:
            raise Permanent(f"The database at {config.host} refuses the login: {error}") from error
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                statement = await connection.prepare(config.query)
                days = (first, last)[: len(statement.get_parameters())]
                cursor = await statement.cursor(*days)
                while page := await cursor.fetch(PAGE, timeout=config.timeout_seconds):
                    yield [{name: _value(value) for name, value in row.items()} for row in page]
        except (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.QueryCanceledError) as error:
            raise Transient(f"The query at {config.host} was cut off: {error}") from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.DataError) as error:
            raise Permanent(f"The database at {config.host} refuses the query: {error}") from error
        finally:
            with suppress(Exception):
                await connection.close(timeout=_CONNECT_SECONDS)

    async def _connect(self) -> asyncpg.Connection[asyncpg.Record]:
        config = self._config
        address = await checked_address(config.host, config.port, allow_internal=self._allow_internal)
        # A certificate is checked for the name, so the name is what is connected to then.
        host = config.host if config.ssl == "verify-full" else address
        return await asyncpg.connect(
            host=host,
            port=config.port,
            user=config.user,
            password=self._password,
            database=config.database,
            ssl=config.ssl,
            timeout=_CONNECT_SECONDS,
            command_timeout=config.timeout_seconds,
            server_settings={
                "application_name": "endcap-sync",
                "statement_timeout": str(round(config.timeout_seconds * 1000)),
                "default_transaction_read_only": "on",
            },
        )


def _value(value: Any) -> Any:
    match value:
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return float(value)
        case str() | int() | float() | None:
            return value
        case list():
            return [_value(entry) for entry in value]
        case _:
            return str(value)
