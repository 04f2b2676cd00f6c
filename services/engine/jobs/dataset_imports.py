"""Dataset import jobs: CSV files become objects of the data bucket that a dataset consists of."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from services.engine import metrics
from services.engine.computations import dataset_import
from services.engine.computations.table import DATASET_IMPORT
from services.engine.domain import locations
from services.engine.domain.resources import ResourceType, Status
from services.engine.domain.state import Dataset, DatasetImportJob
from services.engine.jobs import metric_attributions
from services.engine.jobs.resource_job import Failure, ResourceJob
from services.engine.store import datasets, resources
from shared import jobs
from shared.errors import Permanent

if TYPE_CHECKING:
    from services.engine.computations.dataset_import import Imported
    from shared.jobs import Job
    from shared.postgres import Connection


class DatasetImport(ResourceJob[DatasetImportJob]):
    """The job of a dataset import job; one at a time for each dataset."""

    @property
    def resource_type(self) -> type[DatasetImportJob]:
        """Return the type of the job's resource."""
        return DatasetImportJob

    locks_parent: ClassVar[bool] = True

    async def run(self, job: Job) -> None:
        """Import CSV files into a dataset.

        Raises Permanent for an incremental import into a dataset without a full one, and for wrong files.
        """
        resource = await self._start(job)
        if resource is None:
            return
        document = resource.document
        dataset, schema = await self._dataset_and_schema(resource)
        if document.import_mode == "INCREMENTAL" and not await datasets.parts(self.database, dataset.id):
            raise Permanent("The dataset holds no rows of a FULL import; make one before an INCREMENTAL one.")
        location = document.data_source.data_location or ""
        source = locations.parse(location, dataset_import.INVALID_LOCATION)
        tenant_store = await self._authorize(resource, reads=[(source, dataset_import.INVALID_LOCATION)])
        kind = dataset.document.dataset_type
        # Each attempt has a folder of its own, so that objects of a killed attempt are never used.
        folder = f"{locations.dataset_prefix(resource.owner, kind, resource.id)}{job.attempt}/"
        spec = dataset_import.Spec(
            source.bucket,
            source.key,
            schema.document.avro,
            kind,
            document.import_mode,
            folder,
            self.settings.strict,
            self.settings.max_import_bytes,
            self.settings.max_import_rows,
        )
        imported = await self._compute(job, DATASET_IMPORT, spec, tenant_store=tenant_store)
        async with self.database.transaction() as connection:
            await self._finish(connection, resource, imported, folder)
        metrics.IMPORTED_ROWS.labels(kind).inc(sum(part.rows for part in imported.parts))
        metrics.NULL_CELLS.labels(kind).inc(sum(imported.null_cells.values()))

    async def _finish(
        self, connection: Connection, resource: DatasetImportJob, imported: Imported, folder: str
    ) -> None:
        """Add the parts to the dataset, set the job to ACTIVE, and queue the next import of the dataset."""
        store = resources.in_account_of(connection, resource)
        # The dataset first: every transaction that starts or ends an import locks it first.
        dataset = await store.load(Dataset, resource.parent or "", lock=True)
        unfinished = await resources.load_unfinished(connection, DatasetImportJob, resource.id)
        if dataset is None or unfinished is None:
            await store.discard(folder, 0.0)
            return
        parts = [datasets.Part(part.key, part.rows, part.bytes) for part in imported.parts]
        replacing = resource.document.import_mode == "FULL"
        dropped = await datasets.add_parts(connection, dataset.id, resource.id, parts, replacing=replacing)
        for unused in locations.unused_prefixes(resource.owner, dropped) - {folder}:
            await store.discard(unused, self.settings.garbage_hours)
        import_prefix, _, attempt = folder.rstrip("/").rpartition("/")
        for earlier in range(1, int(attempt)):
            await store.discard(f"{import_prefix}/{earlier}/", self.settings.garbage_hours)
        results = {"folders": [folder], "rows": sum(part.rows for part in parts)}
        results |= {"warnings": imported.warnings, "null_cells": imported.null_cells}
        await store.save(unfinished, status=Status.ACTIVE, facts=unfinished.facts.merged(results))
        if unfinished.document.publish_attribution_metrics_to_s3 and dataset.parent:
            keys = [part.key for part in parts] if dataset.document.dataset_type == "INTERACTIONS" else []
            await metric_attributions.enqueue_import(connection, unfinished, dataset.parent, keys)
        await _queue_next(connection, unfinished)

    async def _clean_up(self, failure: Failure[DatasetImportJob]) -> None:
        """Discard the objects of all attempts, and queue the next import of the dataset."""
        resource = failure.resource
        dataset = await failure.store.load(Dataset, resource.parent or "")
        if dataset is not None:
            prefix = locations.dataset_prefix(resource.owner, dataset.document.dataset_type, resource.id)
            await failure.store.discard(prefix, self.settings.garbage_hours)
        await _queue_next(failure.connection, resource)


async def _queue_next(connection: Connection, ended: DatasetImportJob) -> None:
    """Queue the oldest pending import of the same dataset."""
    store = resources.in_account_of(connection, ended)
    siblings = await store.children(ended.parent or "", ResourceType.DATASET_IMPORT_JOB)
    pending = [sibling for sibling in siblings if sibling.status == Status.PENDING and sibling.id != ended.id]
    if pending:
        oldest = min(pending, key=lambda sibling: sibling.id)
        kind = ResourceType.DATASET_IMPORT_JOB.value
        await jobs.enqueue(connection, kind, str(oldest.id), {"resource": oldest.id}, tenant=oldest.owner)
