"""The importer and its stores on a real Postgres and a real object store; no Kafka, no HTTP."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from services.sync.domain.imports import Import
from services.sync.domain.limits import Limits, Quotas
from services.sync.domain.mapping import Kind
from services.sync.handlers import Handlers
from services.sync.store import Catalogue, Erasures, Files, Imports, Orders, Pulls, Staging
from services.sync.worker import Importer
from shared.jobs import Job
from shared.postgres import Database as Pool

TENANT = "shop"
ROOMY = Quotas(1_000_000, 1_000_000)


@dataclass
class Shop:
    """sync without its processes: files go in, and what it knows and wants to publish can be seen."""

    pool: Pool
    files: Files
    quotas: Quotas = ROOMY
    imports: Imports = field(init=False)
    orders: Orders = field(init=False)
    catalogue: Catalogue = field(init=False)
    handlers: Handlers = field(init=False)

    def __post_init__(self) -> None:
        self.imports = Imports(self.pool)
        self.orders = Orders(self.pool)
        self.catalogue = Catalogue(self.pool, self.quotas)
        self.handlers = Handlers(
            self.pool, self.imports, self.catalogue, self.files, Erasures(self.pool), Pulls(self.pool)
        )

    def importer(
        self, *, chunk_rows: int = 3, imports: Imports | None = None, limits: Limits | None = None
    ) -> Importer:
        """An importer with small chunks, so that a small file has many."""
        return Importer(
            self.pool,
            imports or self.imports,
            self.orders,
            Staging(self.pool),
            self.catalogue,
            self.files,
            chunk_rows=chunk_rows,
            limits=limits or Limits(),
        )

    async def post(self, kind: Kind, content: str | bytes, **values: Any) -> str:
        """Keep a file and add its import, as the HTTP process does; return the import's id."""
        data = content.encode() if isinstance(content, str) else content
        identity = str(uuid.uuid4())
        tenant = values.pop("tenant", TENANT)
        key = f"{tenant}/imports/{identity}/file.csv"
        etag = await self.files.save(key, BytesIO(data))
        new = Import(
            id=identity,
            tenant=tenant,
            kind=kind,
            filename="file.csv",
            origin="request",
            bucket=self.files.data_bucket,
            object_key=key,
            etag=etag,
            size=len(data),
            **{"said_at": datetime.now(UTC), **values},
        )
        assert await self.imports.add(new)
        return identity

    async def run(self, identity: str, importer: Importer | None = None) -> Import:
        """Run an import's job to its end; return the import."""
        await (importer or self.importer()).run(a_job(identity, self.pool))
        import_ = await self.imports.by_id(identity)
        assert import_ is not None
        return import_

    async def load(self, kind: Kind, content: str | bytes, **values: Any) -> Import:
        """Post a file and run its import."""
        return await self.run(await self.post(kind, content, **values))

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """Whatever a query finds."""
        return [dict(row) for row in await self.pool.fetch(query, *arguments)]

    async def published(self, topic: str) -> list[dict[str, Any]]:
        """The events that wait for Kafka, oldest first."""
        outbox = await self.rows(
            "SELECT type, payload FROM outbox WHERE aggregatetype = $1 ORDER BY seq", topic
        )
        return [{"type": row["type"], **row["payload"]} for row in outbox]

    async def rejects(self, identity: str) -> list[tuple[int, str, str]]:
        """(line, code, raw row) of what an import refused."""
        return [
            (row.line, row.code, row.raw) async for page in self.imports.rejects(identity) for row in page
        ]


def a_job(identity: str, pool: Pool, *, outage: bool = False) -> Job:
    """The job of an import, claimed."""
    return Job(
        id=1,
        kind="import",
        key=identity,
        payload={},
        attempt=1,
        progress={},
        owner="test",
        database=pool,
        is_outage=outage,
    )
