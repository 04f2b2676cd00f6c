"""The state of imports, and their rejected rows."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING

from services.sync.domain.imports import Import, Reject
from services.sync.domain.mapping import Kind
from services.sync.domain.uploads import Upload
from services.sync.store.statements import FILE_TIMEOUT_SECONDS, SQL
from shared.jobs import LeaseLost, enqueue

if TYPE_CHECKING:
    import asyncpg

    from shared.postgres import Connection, Database

JOB = "import"
_PAGE = 2_000
_FIELDS = tuple(entry.name for entry in dataclasses.fields(Import))


class Imports:
    """The state of imports. A write is rejected when the row has changed since it was read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: Import) -> bool:
        """Add an import with its job; return False if this version of the object already has an import."""
        async with self._database.transaction() as connection:
            created = await connection.fetchval(
                *SQL.add_import(
                    id=new.id,
                    tenant=new.tenant,
                    kind=new.kind,
                    filename=new.filename,
                    origin=new.origin,
                    bucket=new.bucket,
                    object_key=new.object_key,
                    etag=new.etag,
                    size=new.size,
                    said_at=new.said_at,
                    mapping=new.mapping,
                    source=new.source,
                )
            )
            if created is None:
                return False
            await enqueue(connection, JOB, new.id, {}, tenant=new.tenant)
        return True

    async def of_object(self, new: Import) -> Import | None:
        """Return the import that the tenant has of the same version of an object as the same kind, or None.

        One that failed because of an outage does not count.
        """
        row = await self._database.fetchrow(
            *SQL.import_of_object(
                tenant=new.tenant,
                kind=new.kind,
                bucket=new.bucket,
                object_key=new.object_key,
                etag=new.etag,
                said_at=new.said_at,
            )
        )
        return None if row is None else _import(row)

    async def known_tenants(self, names: Iterable[str]) -> set[str]:
        """Return those of the names that are tenants."""
        rows = await self._database.fetch(*SQL.known_tenants(tenants=list(names)))
        return {row["tenant"] for row in rows}

    async def uploads_to_import(self, bucket: str, uploads: Sequence[Upload]) -> list[Upload]:
        """Return the uploads without an import, or with one that failed because of an outage."""
        rows = await self._database.fetch(
            *SQL.uploads_to_import(
                bucket=bucket,
                keys=[upload.key for upload in uploads],
                etags=[upload.etag for upload in uploads],
                said_ats=[upload.modified_at for upload in uploads],
            )
        )
        return [uploads[row["place"] - 1] for row in rows]

    async def by_id(self, identity: str) -> Import | None:
        """Return an import, or None."""
        row = await self._database.fetchrow(*SQL.import_by_id(id=identity))
        return None if row is None else _import(row)

    async def of_tenant(self, tenant: str, identity: str) -> tuple[Import, bool] | None:
        """Return an import of a tenant and whether Kafka has all of its events, or None."""
        row = await self._database.fetchrow(*SQL.import_of_tenant(tenant=tenant, id=identity))
        return None if row is None else (_import(row), row["relayed"])

    async def newest(self, tenant: str, limit: int) -> list[tuple[Import, bool]]:
        """Return the newest imports of a tenant, each with whether Kafka has all of its events."""
        rows = await self._database.fetch(*SQL.imports_of_tenant(tenant=tenant, limit=limit))
        return [(_import(row), row["relayed"]) for row in rows]

    async def save(self, connection: Connection, import_: Import) -> None:
        """Update an import in the transaction of the rows that it counts.

        Raises LeaseLost if another process has updated it since it was read.
        """
        row = await connection.fetchrow(
            *SQL.save_import(
                id=import_.id,
                version=import_.version,
                status=import_.status,
                step=import_.step,
                position=import_.position,
                source=import_.source,
                encoding=import_.encoding,
                header=import_.header,
                bytes_read=import_.bytes_read,
                rows_read=import_.rows_read,
                rows_staged=import_.rows_staged,
                rows_accepted=import_.rows_accepted,
                rows_duplicate=import_.rows_duplicate,
                rows_rejected=import_.rows_rejected,
                rejects_kept=import_.rejects_kept,
                reject_bytes=import_.reject_bytes,
                reasons=import_.reasons,
                shortened=import_.shortened,
                changes=import_.changes,
                last_seq=import_.last_seq,
                error=import_.error,
            )
        )
        if row is None:
            raise LeaseLost(import_.id)
        import_.version, import_.started_at = row["version"], row["started_at"]

    async def fail(
        self, connection: Connection, identity: str, sentence: str, *, outage: bool
    ) -> tuple[str, Kind] | None:
        """Mark an import as failed; return its tenant and kind, or None if it had ended before."""
        row = await connection.fetchrow(*SQL.fail_import(id=identity, error=sentence, outage=outage))
        await connection.execute(*SQL.drop_staged(import_id=identity), timeout=FILE_TIMEOUT_SECONDS)
        return None if row is None else (row["tenant"], row["kind"])

    async def claim_training(self, connection: Connection, tenant: str, ended: str) -> str | None:
        """Return the import to request training for: `ended`, or the newest if that has changed nothing.

        None if there is none, or some still run. Call it after a change of status, in the same transaction:
        then the last import to end requests it.
        """
        await connection.execute(*SQL.lock_training(tenant=tenant))
        claimed: str | None = await connection.fetchval(*SQL.claim_training(tenant=tenant, ended=ended))
        return claimed

    async def wait_for_outbox(self, connection: Connection, identity: str) -> None:
        """Let an import count as relayed only when all present rows of the outbox are published."""
        await connection.execute(*SQL.wait_for_outbox(id=identity))

    async def with_old_files(self, days: float, after: str) -> list[tuple[str, str, str]]:
        """Return (id, bucket, key) of posted imports that ended more than `days` ago and still have files.

        It is a page in the order of ids, of those after `after`.
        """
        rows = await self._database.fetch(*SQL.with_old_files(days=days, after=after))
        return [(row["id"], row["bucket"], row["object_key"]) for row in rows]

    async def file_deleted(self, identity: str) -> None:
        """Record that the file of an import was deleted."""
        await self._database.execute(*SQL.file_deleted(id=identity))

    async def newest_outbox_row(self, connection: Connection) -> int | None:
        """Return the outbox row with which all events of this and earlier transactions are published."""
        seq: int | None = await connection.fetchval(*SQL.newest_outbox_row())
        return seq

    async def add_rejects(self, connection: Connection, identity: str, rejects: Iterable[Reject]) -> None:
        """Store rejected rows for the report."""
        records = [(identity, *reject) for reject in rejects]
        if records:
            await connection.copy_records_to_table(
                "import_rejects",
                records=records,
                columns=["import_id", "line", "code", "reason", "raw"],
            )

    async def delete_old_rejects(self, days: float) -> int:
        """Delete the rejected rows of some imports that ended more than `days` ago; return of how many."""
        ids = [row["id"] for row in await self._database.fetch(*SQL.with_old_rejects(days=days))]
        if ids:
            await self._database.pool.execute(*SQL.delete_rejects(ids=ids), timeout=FILE_TIMEOUT_SECONDS)
        return len(ids)

    async def count_pending(self, tenant: str, limit: int) -> int:
        """Return how many imports of a tenant are queued or running, counted up to `limit`."""
        return int(await self._database.fetchval(*SQL.count_pending(tenant=tenant, limit=limit)))

    async def drop_rejects(self, connection: Connection, identity: str) -> None:
        """Delete the rejected rows of an import that restarts."""
        await connection.execute(*SQL.drop_rejects(import_id=identity))

    async def rejects(self, identity: str) -> AsyncIterator[list[Reject]]:
        """Yield the stored rejected rows in pages, in the order of the file."""
        after = 0
        while True:
            rows = await self._database.fetch(*SQL.rejects(import_id=identity, after=after, limit=_PAGE))
            if not rows:
                return
            yield [Reject(**row) for row in rows]
            after = rows[-1]["line"]


def _import(row: asyncpg.Record) -> Import:
    return Import(**{name: row[name] for name in _FIELDS})
