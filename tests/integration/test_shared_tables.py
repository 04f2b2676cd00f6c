"""The tables of shared packages are the same in every schema: as their migrations in `shared/` create them.

The services of today created them with migrations of their own, before a migration could include a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.stack import Database

ROOT = Path(__file__).resolve().parents[2]
WITH_BOTH = ["sync", "trainer", "loader", "engine"]
OWNERS = {"jobs": [*WITH_BOTH, "analytics"], "outbox": [*WITH_BOTH, "router"]}
"""The services with the tables of each shared package."""
TABLES = {"jobs": ["jobs"], "outbox": ["outbox", "outbox_set_aside"]}

COLUMNS = """
SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS is_required,
       a.attidentity::text AS identity, pg_get_expr(d.adbin, d.adrelid) AS "default"
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attname
"""
CONSTRAINTS = """
SELECT conname::text AS name, pg_get_constraintdef(oid) AS definition
FROM pg_constraint WHERE conrelid = $1::regclass AND contype <> 'n' ORDER BY conname
"""
INDEXES = """
SELECT indexname::text AS name, replace(indexdef, schemaname || '.', '') AS definition
FROM pg_indexes WHERE (schemaname || '.' || tablename)::regclass = $1::regclass ORDER BY indexname
"""
OPTIONS = "SELECT reloptions FROM pg_class WHERE oid = $1::regclass"
TRIGGERS = """
SELECT tgname::text AS name, pg_get_triggerdef(oid) AS definition
FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal ORDER BY tgname
"""


async def description(connection: asyncpg.Connection[asyncpg.Record], table: str) -> list[list[Any]]:
    """The columns, constraints, indexes, storage options and triggers of a table, without their order."""
    queries = (COLUMNS, CONSTRAINTS, INDEXES, OPTIONS, TRIGGERS)
    return [[tuple(row) for row in await connection.fetch(query, table)] for query in queries]


@pytest.mark.parametrize(
    ("package", "service"), [(package, owner) for package in OWNERS for owner in OWNERS[package]]
)
async def test_a_service_has_the_tables_of_the_shared_package(
    module_database: Database, package: str, service: str
) -> None:
    connection = await asyncpg.connect(module_database.url)
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("CREATE SCHEMA pattern")
        await connection.execute("SET LOCAL search_path = pattern")
        for path in sorted((ROOT / "shared" / package / "migrations").glob("*.sql")):
            await connection.execute(path.read_text())
        expected = [await description(connection, f"pattern.{table}") for table in TABLES[package]]
        actual = [await description(connection, f"{service}.{table}") for table in TABLES[package]]
    finally:
        await transaction.rollback()
        await connection.close()

    assert actual == expected


@pytest.mark.parametrize(("table"), ["jobs", "outbox"])
async def test_no_other_schema_has_a_table_of_that_name(module_database: Database, table: str) -> None:
    """A service that has one is in `OWNERS`."""
    connection = await asyncpg.connect(module_database.url)
    try:
        rows = await connection.fetch("SELECT schemaname FROM pg_tables WHERE tablename = $1", table)
    finally:
        await connection.close()

    assert {row["schemaname"] for row in rows} == set(OWNERS[table])
