"""A claimed job, as its worker and its handler see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.postgres import Database, statements

if TYPE_CHECKING:
    import asyncpg

SQL = statements(Path(__file__).with_name("queries.sql"))


class LeaseLost(Exception):
    """The lease was lost, and another worker may have claimed the job: stop, and write nothing more."""


@dataclass
class Job:
    """A claimed job. `attempt` counts from 1; more than 1 means that a worker started it before."""

    id: int
    kind: str
    key: str
    payload: dict[str, Any]
    attempt: int
    progress: dict[str, Any]
    owner: str
    database: Database = field(repr=False)
    tenant: str = ""
    retries: int = 0
    """The number of earlier attempts that ended because a dependency was unavailable."""
    retried_seconds: float | None = None
    """Time for which it had been retried when this attempt started; None before the first retry."""
    is_outage: bool = False
    """True if it failed because a dependency was unavailable for too long: a later try may succeed."""

    async def report(self, **progress: Any) -> None:
        """Merge `progress` into the row, for users and later attempts; LeaseLost when the lease is lost."""
        self.progress |= progress
        tag = await self.database.execute(*SQL.report(id=self.id, owner=self.owner, progress=self.progress))
        if tag == "UPDATE 0":
            raise LeaseLost(self.key)


def claimed_job(row: asyncpg.Record, owner: str, database: Database) -> Job:
    """Return the job of a row that the worker `owner` has claimed."""
    return Job(
        id=row["id"],
        kind=row["kind"],
        key=row["key"],
        payload=row["payload"],
        attempt=row["attempts"],
        progress=row["progress"],
        owner=owner,
        database=database,
        tenant=row["tenant"],
        retries=row["retries"],
        retried_seconds=row["retried"],
    )
