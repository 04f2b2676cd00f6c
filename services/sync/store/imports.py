"""Imports and their refused rows."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING

from services.sync.domain.imports import Import, Reject
from services.sync.domain.mapping import Kind
from services.sync.domain.uploads import Upload
from services.sync.store.statements import PATIENCE, SQL
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
        """Add an import and its job together; False when this version of its object needs none."""
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

    async def known_tenants(self, names: Iterable[str]) -> set[str]:
        """Those of the names that are tenants today."""
        rows = await self._database.fetch(*SQL.known_tenants(tenants=list(names)))
        return {row["tenant"] for row in rows}

    async def without_import(self, bucket: str, uploads: Sequence[Upload]) -> list[Upload]:
        """Those of the uploads that are still to be imported, or again after an outage."""
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
        """An import as it is now."""
        row = await self._database.fetchrow(*SQL.import_by_id(id=identity))
        return None if row is None else _import(row)

    async def of_tenant(self, tenant: str, identity: str) -> tuple[Import, bool] | None:
        """An import of a tenant, and whether Kafka has all that it published."""
        row = await self._database.fetchrow(*SQL.import_of_tenant(tenant=tenant, id=identity))
        return None if row is None else (_import(row), row["relayed"])

    async def newest(self, tenant: str, limit: int) -> list[tuple[Import, bool]]:
        """The newest imports of a tenant, each with whether it is relayed."""
        rows = await self._database.fetch(*SQL.imports_of_tenant(tenant=tenant, limit=limit))
        return [(_import(row), row["relayed"]) for row in rows]

    async def save(self, connection: Connection, import_: Import) -> None:
        """Write the import in the transaction of what it counts; LeaseLost when somebody else did."""
        row = await connection.fetchrow(
            *SQL.save_import(
                id=import_.id,
                version=import_.version,
                status=import_.status,
                step=import_.step,
                position=import_.position,
                source=import_.source,
                encoding=import_.encoding,
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
        """Say that an import will not work; its tenant and kind, or None when it had ended before."""
        row = await connection.fetchrow(*SQL.fail_import(id=identity, error=sentence, outage=outage))
        await connection.execute(*SQL.drop_staged(import_id=identity), timeout=PATIENCE)
        return None if row is None else (row["tenant"], row["kind"])

    async def claim_training(self, connection: Connection, tenant: str) -> str | None:
        """The newest import that training is to be asked for; None when none wants it or some still run.

        Call it behind the change of a status and in its transaction: so the last one to end always asks.
        """
        await connection.execute(*SQL.lock_training(tenant=tenant))
        newest: str | None = await connection.fetchval(*SQL.claim_training(tenant=tenant))
        return newest

    async def published_by_now(self, connection: Connection, identity: str) -> None:
        """Let an import be relayed only with what was appended after its end, too."""
        await connection.execute(*SQL.published_by_now(id=identity))

    async def with_old_files(self, days: float, after: str) -> list[tuple[str, str, str]]:
        """(id, bucket, key) of posted imports that ended so long ago, and whose files are there still.

        A page of them by their ids, of those `after` one.
        """
        rows = await self._database.fetch(*SQL.with_old_files(days=days, after=after))
        return [(row["id"], row["bucket"], row["object_key"]) for row in rows]

    async def file_deleted(self, identity: str) -> None:
        """Remember that the file of an import is gone."""
        await self._database.execute(*SQL.file_deleted(id=identity))

    async def newest_outbox_row(self, connection: Connection) -> int | None:
        """The row after which everything of this transaction and before it is published."""
        seq: int | None = await connection.fetchval(*SQL.newest_outbox_row())
        return seq

    async def add_rejects(self, connection: Connection, identity: str, rejects: Iterable[Reject]) -> None:
        """Keep refused rows for the report."""
        records = [(identity, *reject) for reject in rejects]
        if records:
            await connection.copy_records_to_table(
                "import_rejects",
                records=records,
                columns=["import_id", "line", "code", "reason", "raw"],
            )

    async def delete_old_rejects(self, days: float) -> int:
        """Delete the refused rows of some imports that ended so many days ago; return of how many."""
        ids = [row["id"] for row in await self._database.fetch(*SQL.with_old_rejects(days=days))]
        if ids:
            await self._database.pool.execute(*SQL.delete_rejects(ids=ids), timeout=PATIENCE)
        return len(ids)

    async def pending(self, tenant: str, most: int) -> int:
        """Return how many imports of a tenant wait or run, counted up to `most`."""
        return int(await self._database.fetchval(*SQL.pending(tenant=tenant, most=most)))

    async def drop_rejects(self, connection: Connection, identity: str) -> None:
        """Forget the report of an import that begins again."""
        await connection.execute(*SQL.drop_rejects(import_id=identity))

    async def rejects(self, identity: str) -> AsyncIterator[list[Reject]]:
        """Every refused row in the order of the file, a page at a time."""
        after = 0
        while True:
            rows = await self._database.fetch(*SQL.rejects(import_id=identity, after=after, limit=_PAGE))
            if not rows:
                return
            yield [Reject(**row) for row in rows]
            after = rows[-1]["line"]


def _import(row: asyncpg.Record) -> Import:
    return Import(**{name: row[name] for name in _FIELDS})
