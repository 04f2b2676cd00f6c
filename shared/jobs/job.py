"""One job, as its worker and its handler have it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.postgres import Database, statements

if TYPE_CHECKING:
    import asyncpg

SQL = statements(Path(__file__).with_name("queries.sql"))


class LeaseLost(Exception):
    """Another worker has this job now: stop at once and write nothing more."""


@dataclass
class Job:
    """One claimed job. `attempt` counts from 1; more than 1 means that somebody began before."""

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
    """How many of the earlier attempts ended because something was away."""
    retried: float | None = None
    """For how many seconds it has been tried again, when this attempt began."""
    outage: bool = False
    """It has failed because something stayed away for too long: the same work may succeed another time."""

    async def report(self, **progress: Any) -> None:
        """Merge `progress` into the row, where people and a later attempt can see it."""
        self.progress |= progress
        tag = await self.database.execute(*SQL.report(id=self.id, owner=self.owner, progress=self.progress))
        if tag == "UPDATE 0":
            raise LeaseLost(self.key)


def claimed(row: asyncpg.Record, owner: str, database: Database) -> Job:
    """Return the job of a row that `owner` has claimed."""
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
        retried=row["retried"],
    )
