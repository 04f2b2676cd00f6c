"""Every named statement is prepared against the migrated schema, as the role that runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from shared.postgres import Statement, statements
from tests.support.stack import Database

ROOT = Path(__file__).resolve().parents[2]


class Connections:
    """A connection for the role of each service: each costs an authentication, and there are 600 tests."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._opened: dict[str, Any] = {}

    async def of(self, service: str) -> Any:
        """Return the connection of a service."""
        if service not in self._opened:
            self._opened[service] = await asyncpg.connect(
                self._database.role_url(service), server_settings={"search_path": service}
            )
        return self._opened[service]

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._opened.values():
            await connection.close()


@pytest.fixture(scope="module")
async def connections(module_database: Database) -> AsyncIterator[Connections]:
    """Yield the connections of this module."""
    opened = Connections(module_database)
    yield opened
    await opened.close()


def _statements() -> list[tuple[str, Statement]]:
    """(service, statement) of every `queries.sql` of every service."""
    return [
        (path.relative_to(ROOT).parts[1], statement)
        for path in sorted((ROOT / "services").rglob("queries.sql"))
        for statement in statements(path)
    ]


@pytest.mark.parametrize(
    ("service", "statement"), _statements(), ids=lambda value: getattr(value, "name", value)
)
async def test_a_statement_fits_the_schema(
    connections: Connections, service: str, statement: Statement
) -> None:
    await (await connections.of(service)).prepare(statement.text)


@pytest.mark.parametrize(
    "folder", sorted((ROOT / "shared").rglob("queries.sql")), ids=lambda path: path.parent.name
)
@pytest.mark.parametrize("service", ["sync", "trainer", "loader", "engine"])
async def test_the_shared_statements_fit_every_schema_that_has_their_tables(
    connections: Connections, folder: Path, service: str
) -> None:
    connection = await connections.of(service)
    for statement in statements(folder):
        await connection.prepare(statement.text)


@pytest.mark.parametrize(
    "service", ["tracker", "sync", "trainer", "loader", "recommender", "router", "engine", "analytics"]
)
async def test_a_role_can_touch_no_other_services_tables(module_database: Database, service: str) -> None:
    """A service reads other schemas through granted views with a version in their names only."""
    connection = await asyncpg.connect(module_database.url)
    try:
        reachable = await connection.fetch(
            "SELECT table_schema || '.' || table_name AS name, privilege_type "
            "FROM information_schema.table_privileges "
            "WHERE grantee = $1 AND table_schema <> $1 AND table_schema <> 'information_schema'",
            service,
        )
    finally:
        await connection.close()

    assert {row["privilege_type"] for row in reachable} <= {"SELECT"}
    assert all(row["name"].endswith("_v1") for row in reachable), reachable
