"""Migrations, roles and the pool against a real Postgres."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from shared.postgres import UNAVAILABLE, Database, make_roles, migrate, statements
from shared.settings import PostgresSettings
from tests.support.stack import Database as OwnDatabase


def write(folder: Path, name: str, sql: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(sql)


async def test_a_migration_is_applied_once_and_owned_by_its_service(
    empty_database: OwnDatabase, tmp_path: Path
) -> None:
    write(tmp_path, "0001_pre_first.sql", "CREATE TABLE things (id int PRIMARY KEY);")

    first = await migrate(empty_database.url, "tracker", tmp_path)
    again = await migrate(empty_database.url, "tracker", tmp_path)

    connection = await asyncpg.connect(empty_database.role_url("tracker"))
    await connection.execute("INSERT INTO tracker.things VALUES (1)")
    await connection.close()
    assert (first, again) == (["0001_pre_first.sql"], [])


async def test_a_changed_migration_is_refused(empty_database: OwnDatabase, tmp_path: Path) -> None:
    write(tmp_path, "0001_pre_first.sql", "CREATE TABLE things (id int);")
    await migrate(empty_database.url, "tracker", tmp_path)
    write(tmp_path, "0001_pre_first.sql", "CREATE TABLE things (id bigint);")

    with pytest.raises(RuntimeError, match="changed after it was applied"):
        await migrate(empty_database.url, "tracker", tmp_path)


async def test_a_migration_that_fails_leaves_nothing_behind(
    empty_database: OwnDatabase, tmp_path: Path
) -> None:
    write(tmp_path, "0001_pre_half.sql", "CREATE TABLE half (id int); SELECT 1/0;")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_database.url, "tracker", tmp_path)

    connection = await asyncpg.connect(empty_database.url)
    assert await connection.fetchval("SELECT to_regclass('tracker.half')") is None
    await connection.close()


async def test_two_processes_migrate_at_once_and_one_does_it(
    empty_database: OwnDatabase, tmp_path: Path
) -> None:
    write(tmp_path, "0001_pre_first.sql", "SELECT pg_sleep(0.3); CREATE TABLE things (id int);")

    done = await asyncio.gather(*(migrate(empty_database.url, "tracker", tmp_path) for _ in range(3)))

    assert sorted(done) == [[], [], ["0001_pre_first.sql"]]


async def test_roles_log_in_with_the_password_of_their_url(empty_database: OwnDatabase) -> None:
    url = empty_database.role_url("loader")

    assert await make_roles(empty_database.url, [url]) == ["loader"]

    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT current_user") == "loader"
    await connection.close()


async def test_python_objects_go_through_jsonb_unchanged(empty_database: OwnDatabase) -> None:
    pool = Database(PostgresSettings(database_url=empty_database.url), "public")
    await pool.start()
    document = {"text": "Ünïcode", "list": [1, None, {"deep": True}]}

    back = await pool.fetchval("SELECT $1::jsonb", document)

    await pool.stop()
    assert back == document


async def test_the_pool_starts_without_a_server_and_says_so_only_on_use() -> None:
    pool = Database(PostgresSettings(database_url="postgresql://nobody@127.0.0.1:1/nowhere"), "public")

    await pool.start()

    with pytest.raises(OSError, match="Connect"):
        await pool.fetchval("SELECT 1")
    await pool.stop()


def test_named_sql_says_which_parameter_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "queries.sql"
    file.write_text("-- one --\n-- The first.\nSELECT :a::text, :b, :a;\n")
    sql = statements(file)

    assert sql.one(a=1, b=2) == ("SELECT $1::text, $2, $1", 1, 2)
    with pytest.raises(TypeError, match=r"one takes \['a', 'b'\], got \['a'\]"):
        sql.one(a=1)


async def test_a_server_that_refuses_the_password_or_has_no_such_database_is_away(
    empty_database: OwnDatabase,
) -> None:
    parts = urlsplit(empty_database.role_url("loader"))
    stranger = parts._replace(netloc=f"nobody-known:wrong@{parts.hostname}:{parts.port}").geturl()
    elsewhere = urlsplit(empty_database.url)._replace(path="/no-such-database").geturl()

    for url in (stranger, elsewhere):
        pool = Database(PostgresSettings(database_url=url), "loader")
        await pool.start()
        with pytest.raises(UNAVAILABLE):
            await pool.fetchval("SELECT 1")
        await pool.stop()
