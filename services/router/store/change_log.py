"""The log of changes of experiments: each is written with the change itself, and announced."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from services.router.domain.experiments import StoredVersion
from services.router.store import SQL
from shared import outbox
from shared.errors import ApiError
from shared.events.topics import EXPERIMENTS

if TYPE_CHECKING:
    from asyncpg import Record

    from shared.postgres import Connection, Database

MAX_CHANGES: Final = 1_000
"""Lines of the log of an experiment that are kept. Arbitrary."""


class Author(NamedTuple):
    """The author of a change, and the version and revision that the change is based on; None for any."""

    name: str
    expected: tuple[int, int] | None = None


class LoggedChange(NamedTuple):
    """A line of the log of an experiment."""

    version: int
    revision: int
    change: str
    actor: str
    details: Mapping[str, Any]
    at: datetime


class ChangeLog:
    """Writes lines of the log in the transaction of a change, and reads them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(
        self,
        connection: Connection,
        row: Record | None,
        change: str,
        author: Author,
        details: Mapping[str, Any],
    ) -> StoredVersion:
        """Add a change to the log, and announce the state of a version that was started; return it."""
        assert row is not None
        version = parse_row(row)
        await self.add(connection, version, change, author, details)
        if version.started_at is not None:
            await outbox.append(connection, EXPERIMENTS, [version.changed()])
        return version

    async def add(
        self,
        connection: Connection,
        version: StoredVersion,
        change: str,
        author: Author,
        details: Mapping[str, Any],
    ) -> None:
        """Add a change to the log; later drafts get another revision, so that their ETag changes."""
        parameters = {"tenant": version.tenant, "name": version.name, "version": version.version}
        await connection.execute(
            *SQL.add_change(
                **parameters,
                revision=version.revision,
                change=change,
                actor=author.name,
                details=dict(details),
                kept=MAX_CHANGES,
            )
        )
        await connection.execute(*SQL.touch_drafts(**parameters))

    async def newest(self, tenant: str, name: str, limit: int) -> list[LoggedChange]:
        """Return the log of an experiment, newest first; empty for an unknown one."""
        rows = await self._database.fetch(*SQL.changes(tenant=tenant, name=name, limit=limit))
        return [LoggedChange(**dict(row)) for row in rows]


def parse_row(row: Record) -> StoredVersion:
    """Return a row as a version."""
    return StoredVersion.model_validate(dict(row))


def check_revision(name: str, latest: StoredVersion | None, author: Author) -> None:
    """Raise ApiError (412) if the newest version is not the one that a change is based on."""
    current = (0, 0) if latest is None else (latest.version, latest.revision)
    if author.expected is not None and author.expected != current:
        detail = (
            f"{name} was changed meanwhile: it has version {current[0]} and revision {current[1]} now, not "
            f"{author.expected[0]} and {author.expected[1]}. Read it again, and repeat the change on it."
        )
        raise ApiError(412, "Changed", detail)


def unknown_variant(version: StoredVersion, variant: str, status: int = 400) -> ApiError:
    """Return the error for a variant that a version does not have."""
    names = ", ".join(each.name for each in version.variants)
    return ApiError(status, "UnknownVariant", f"{version.name} has no variant {variant!r}, only {names}.")
