"""The job of an import: read the file, assemble the orders of an order file, merge items and users.

Each chunk is one transaction that changes the shop's data, appends the events and advances the import's
position. A worker that dies loses only its current chunk; the next attempt continues there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from services.sync.domain.imports import Import, Step
from services.sync.domain.limits import Limits
from services.sync.metrics import IMPORTS, REJECTS, ROWS, SECONDS
from services.sync.store import Erasures
from services.sync.worker.catalogue_merge import CatalogueMerge
from services.sync.worker.file_reader import FileReader
from services.sync.worker.order_assembly import OrderAssembly
from shared import outbox
from shared.events import TrainingRequested, derived_id
from shared.events.topics import TRAINING_REQUESTS

if TYPE_CHECKING:
    from services.sync.store import Catalogue, Files, Imports, Orders, Staging
    from shared.jobs import Job
    from shared.postgres import Connection, Database

log = structlog.get_logger()


class Importer:
    """Runs imports step by step, from the position where an earlier attempt stopped."""

    def __init__(
        self,
        database: Database,
        imports: Imports,
        orders: Orders,
        staging: Staging,
        catalogue: Catalogue,
        files: Files,
        *,
        chunk_rows: int,
        limits: Limits,
    ) -> None:
        self._database = database
        self._imports = imports
        self._staging = staging
        reader = FileReader(database, imports, orders, staging, files, chunk_rows=chunk_rows, limits=limits)
        erasures = Erasures(database)
        assembly = OrderAssembly(
            database, imports, orders, staging, erasures, chunk_rows=chunk_rows, limits=limits
        )
        merge = CatalogueMerge(database, imports, staging, catalogue, erasures, limits=limits)
        self._steps: dict[Step, Callable[[Import], Awaitable[Import]]] = {
            "read": reader.read,
            "orders": assembly.assemble,
            "items": merge.merge_items,
            "users": merge.merge_users,
            "finish": self._finish,
        }

    async def run(self, job: Job) -> None:
        """Run one import to its end."""
        import_ = await self._imports.by_id(job.key)
        if import_ is None or import_.status in {"done", "failed"}:
            return
        import_.status = "running"
        import_ = await self._restart_if_rows_are_lost(import_)
        while import_.status == "running":
            import_ = await self._steps[import_.step](import_)
        _record_metrics(import_)

    async def failed(self, job: Job, sentence: str) -> None:
        """Mark an import as failed; `sentence` is its error message."""
        async with self._database.transaction() as connection:
            ended = await self._imports.fail(connection, job.key, sentence, outage=job.is_outage)
            if ended is None:
                return
            tenant, kind = ended
            await self._request_training(connection, tenant, job.key)
        IMPORTS.labels(kind, "failed").inc()

    async def _restart_if_rows_are_lost(self, import_: Import) -> Import:
        """Return the import, restarted if staged rows are missing: a crash of Postgres drops them."""
        if import_.rows_staged == await self._staging.count(import_.id):
            return import_
        log.warning("sync.import_restarted", import_id=import_.id)
        updated = import_.copy()
        updated.restart()
        async with self._database.transaction() as connection:
            await self._staging.drop(connection, import_.id)
            await self._imports.drop_rejects(connection, import_.id)
            await self._imports.save(connection, updated)
        return updated

    async def _finish(self, import_: Import) -> Import:
        """Mark the import as done, and request training if it was the last one."""
        updated = import_.copy()
        updated.status = "done"
        async with self._database.transaction() as connection:
            await self._staging.drop(connection, import_.id)
            if import_.changes:
                updated.last_seq = await self._imports.newest_outbox_row(connection)
            await self._imports.save(connection, updated)
            await self._request_training(connection, import_.tenant, import_.id)
        return updated

    async def _request_training(self, connection: Connection, tenant: str, import_id: str) -> None:
        """Request one training for all imports that ran together, after all events that they published."""
        claimed = await self._imports.claim_training(connection, tenant, import_id)
        if claimed is not None:
            await outbox.append(connection, TRAINING_REQUESTS, [_request(tenant, claimed)])
            await self._imports.wait_for_outbox(connection, import_id)


def _request(tenant: str, import_id: str) -> TrainingRequested:
    return TrainingRequested(
        event_id=derived_id(tenant, "import", import_id),
        tenant=tenant,
        occurred_at=datetime.now(UTC),
        reason="import",
        import_id=import_id,
    )


def _record_metrics(import_: Import) -> None:
    IMPORTS.labels(import_.kind, "done").inc()
    for outcome, count in (
        ("accepted", import_.rows_accepted),
        ("duplicate", import_.rows_duplicate),
        ("rejected", import_.rows_rejected),
    ):
        ROWS.labels(import_.kind, outcome).inc(count)
    for code, count in import_.reasons.items():
        REJECTS.labels(import_.kind, code).inc(count)
    if import_.started_at is not None:
        seconds = (datetime.now(UTC) - import_.started_at).total_seconds()
        SECONDS.labels(import_.kind).observe(seconds)
    log.info(
        "sync.import_done",
        import_id=import_.id,
        kind=import_.kind,
        accepted=import_.rows_accepted,
        duplicate=import_.rows_duplicate,
        rejected=import_.rows_rejected,
        changes=import_.changes,
    )
