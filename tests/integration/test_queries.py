"""Every named statement is prepared against the migrated schema, as the role that runs it."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from shared.postgres import Statement, statements
from tests.support.stack import Database

ROOT = Path(__file__).resolve().parents[2]


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
    module_database: Database, service: str, statement: Statement
) -> None:
    connection = await asyncpg.connect(
        module_database.role_url(service), server_settings={"search_path": service}
    )
    try:
        await connection.prepare(statement.text)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "folder", sorted((ROOT / "shared").rglob("queries.sql")), ids=lambda path: path.parent.name
)
@pytest.mark.parametrize("service", ["sync", "trainer", "loader", "engine"])
async def test_the_shared_statements_fit_every_schema_that_has_their_tables(
    module_database: Database, folder: Path, service: str
) -> None:
    connection = await asyncpg.connect(
        module_database.role_url(service), server_settings={"search_path": service}
    )
    try:
        for statement in statements(folder):
            await connection.prepare(statement.text)
    finally:
        await connection.close()


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
