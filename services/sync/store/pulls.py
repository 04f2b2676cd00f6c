"""The runs of sources that are asked, and what they brought."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from services.sync.store.statements import SQL
from shared.jobs import enqueue

if TYPE_CHECKING:
    from services.sync.store.sources import Source
    from shared.postgres import Database

JOB = "pull"


class Pulled(NamedTuple):
    """An order, item or user of an answer. `document` is merged if its member `object` has changed."""

    id: str
    document: dict[str, Any]


class Pulls:
    """The runs of sources."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin_due(self) -> int:
        """Queue a job for each source that is due; return how many."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(*SQL.due_pulls())
            for row in rows:
                payload = {"source_id": row["id"], "full": row["is_full"]}
                await enqueue(connection, JOB, f"{row['id']}:{row['pulls']}", payload, tenant=row["tenant"])
            if rows:
                await connection.execute(*SQL.delete_old_runs())
        return len(rows)

    async def want(self, tenant: str | None, name: str | None, *, full: bool) -> int:
        """Let the next run of sources begin now; return how many sources that are."""
        return len(await self._database.fetch(*SQL.want_pull(tenant=tenant, name=name, full=full)))

    async def add(self, source: Source, topic: str, objects: Sequence[Pulled]) -> int:
        """Store what has changed since the source was asked before; return how many objects."""
        if not objects:
            return 0
        bodies = [orjson.dumps(entry.document) for entry in objects]
        contents = [orjson.dumps(entry.document["object"], option=orjson.OPT_SORT_KEYS) for entry in objects]
        hashes = [hashlib.sha256(content).digest() for content in contents]
        row = await self._database.fetchrow(
            *SQL.add_pulled(
                source_id=source.id,
                tenant=source.tenant,
                topic=topic,
                object_ids=[entry.id or digest.hex() for entry, digest in zip(objects, hashes, strict=True)],
                hashes=hashes,
                bodies=bodies,
            )
        )
        return 0 if row is None else int(row["changed"])

    async def knows(self, source_id: str, topic: str, identity: str, version: str) -> bool:
        """Return whether a version of an object was remembered."""
        digest = hashlib.sha256(version.encode()).digest()
        query = SQL.knows_pulled(source_id=source_id, topic=topic, object_id=identity, hash=digest)
        return bool(await self._database.fetchval(*query))

    async def remember(self, source_id: str, topic: str, identity: str, version: str) -> None:
        """Remember a version of an object in place of the one before."""
        digest = hashlib.sha256(version.encode()).digest()
        await self._database.execute(
            *SQL.remember_pulled(source_id=source_id, topic=topic, object_id=identity, hash=digest)
        )

    async def want_bucket(self, bucket: str) -> int:
        """Let the sources of a bucket look for files now; return how many sources that are."""
        return len(await self._database.fetch(*SQL.want_bucket(bucket=bucket)))

    async def end(
        self, source_id: str, *, read_until: date, objects: int, warnings: Sequence[str], full: bool
    ) -> None:
        """Record the end of a run that has read all."""
        await self._database.execute(
            *SQL.end_pull(
                id=source_id, read_until=read_until, objects=objects, warnings=list(warnings), full=full
            )
        )

    async def fail(self, source_id: str, sentence: str) -> None:
        """Record why a run failed."""
        await self._database.execute(*SQL.fail_pull(id=source_id, error=sentence))
