"""Dataset export jobs: write the imported and the received rows of a dataset as CSV files."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from services.engine import metrics
from services.engine.computations import dataset_export
from services.engine.computations.table import DATASET_EXPORT
from services.engine.domain import locations, schemas
from services.engine.domain.state import DatasetExportJob
from services.engine.jobs import received_rows
from services.engine.jobs.resource_job import ResourceJob
from services.engine.jobs.workspaces import workspace as make_workspace
from services.engine.store import datasets, deleted_users

if TYPE_CHECKING:
    from shared.jobs import Job


class DatasetExport(ResourceJob[DatasetExportJob]):
    """The job of a dataset export job."""

    @property
    def resource_type(self) -> type[DatasetExportJob]:
        """Return the type of the job's resource."""
        return DatasetExportJob

    async def run(self, job: Job) -> None:
        """Write the rows of a dataset as CSV."""
        resource = await self._start(job)
        if resource is None:
            return
        dataset, schema = await self._dataset_and_schema(resource)
        document = resource.document
        kind, schema_json = dataset.document.dataset_type, schema.document.avro
        invalid = locations.INVALID_OUTPUT_PATH
        output = locations.parse(document.job_output.s3_data_destination.path, invalid)
        tenant_store = await self._authorize(resource, writes=[(output, invalid)])
        mode = document.ingestion_mode
        with make_workspace(self.settings.work_folder, job) as workspace:
            path = workspace / "received.parquet"
            has_received = mode in {"PUT", "ALL"} and await received_rows.write_dataset_file(
                self.database, resource.owner, kind, schemas.parse(schema_json), path
            )
            spec = dataset_export.Spec(
                kind,
                schema_json,
                mode,
                [part.key for part in await datasets.parts(self.database, dataset.id)],
                str(path) if has_received else None,
                output.bucket,
                output.key,
                resource.name,
                await deleted_users.deletion_times(self.database, resource.owner)
                if kind == "INTERACTIONS"
                else {},
            )
            exported = await self._compute(job, DATASET_EXPORT, spec, workspace, tenant_store)
        await self._complete(resource, asdict(exported))
        metrics.EXPORTED_ROWS.labels(kind).inc(exported.rows)
