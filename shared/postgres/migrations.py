"""Migrations and roles, which an administrator applies before the services start."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg

_MIGRATION = re.compile(r"^(\d{4})_(pre|post)_[a-z0-9_]+\.sql$")
_INCLUDE = re.compile(r"^-- include (shared/[a-z_]+/migrations/\d{4}_[a-z0-9_]+\.sql)$", re.MULTILINE)
_ROOT = Path(__file__).parents[2]


async def migrate(database_url: str, service: str, directory: Path) -> list[str]:
    """Apply the new migrations of `service` in the order of their names; return these names.

    Files are named `NNNN_pre_what.sql` or `NNNN_post_what.sql`. Each is applied in one transaction, as the
    role of the service, by one process at a time. A line
    `-- include shared/<package>/migrations/NNNN_what.sql` stands for the text of that file, so that the
    tables of shared packages are written once.

    Raises RuntimeError for a file that was changed after it was applied, and ValueError for another name, or
    for an included file that does not exist.
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


def read_migration(path: Path) -> str:
    """Return the text of a migration, with the files that it includes; ValueError if one does not exist."""

    def _included(match: re.Match[str]) -> str:
        file = _ROOT / match[1]
        if not file.is_file():
            message = f"{path} includes {match[1]}, which does not exist"
            raise ValueError(message)
        return file.read_text()

    return _INCLUDE.sub(_included, path.read_text())


async def _apply(connection: asyncpg.Connection[asyncpg.Record], path: Path, known: str | None) -> bool:
    text = read_migration(path)
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
    # An administrator who is not a superuser (managed Postgres) must be a member of the role first.
    await connection.execute(f'GRANT "{service}" TO CURRENT_USER')
    await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{service}" AUTHORIZATION "{service}"')


async def make_roles(database_url: str, service_urls: list[str]) -> list[str]:
    """Create the login role and schema of each URL; return the names of the roles.

    Raises ValueError for a URL whose user is not the name of a service.
    """
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext('endcap.migrate'))")
        names = []
        for url in map(urlsplit, service_urls):
            name, password = unquote(url.username or ""), unquote(url.password or "")
            if not re.fullmatch(r"[a-z]+", name):
                message = f"{name!r} is not a role: use the service's name, in lower-case letters"
                raise ValueError(message)
            await _ensure_role(connection, name)
            quoted = await connection.fetchval("SELECT quote_literal($1::text)", password)
            await connection.execute(f'ALTER ROLE "{name}" LOGIN PASSWORD {quoted}')
            names.append(name)
        return names
    finally:
        await connection.close()
