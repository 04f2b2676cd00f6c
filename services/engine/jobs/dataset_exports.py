"""Jobs of exports: collect what was received, and have it written with what was imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.engine import metrics
from services.engine.computations import dataset_export, launcher
from services.engine.domain import locations, schemas
from services.engine.jobs import received_rows
from services.engine.jobs.resource_job import Runner
from services.engine.store import datasets, deleted_users

if TYPE_CHECKING:
    from shared.jobs import Job


@dataclass(frozen=True, slots=True)
class Exports(Runner):
    """The job of a dataset export."""

    async def dataset_export(self, job: Job) -> None:
        """Write a dataset's rows as CSV."""
        resource = await self._begun(job)
        if resource is None:
            return
        dataset, schema = await self._dataset_of(resource)
        document = resource.document
        kind, text = dataset.document["datasetType"], schema.document["schema"]
        output = locations.parse(
            document["jobOutput"]["s3DataDestination"]["path"], dataset_export.INVALID_OUTPUT_PATH
        )
        store = await self._store_of(resource, writes=[(output, dataset_export.INVALID_OUTPUT_PATH)])
        mode = document["ingestionMode"]
        with launcher.workspace(self.settings.work_folder, job) as workspace:
            path = workspace / "received.parquet"
            collected = mode in {"PUT", "ALL"} and await received_rows.collect_whole(
                self.database, resource.owner, kind, schemas.parse(text), path
            )
            spec = dataset_export.Spec(
                kind,
                text,
                mode,
                [part.key for part in await datasets.parts(self.database, dataset.id)],
                str(path) if collected else None,
                output.bucket,
                output.key,
                resource.name,
                await deleted_users.deletion_times(self.database, resource.owner)
                if kind == "INTERACTIONS"
                else {},
            )
            result = await self._compute(job, "export", spec, workspace, store)
        await self._done(resource, result)
        metrics.EXPORTED_ROWS.labels(kind).inc(result["rows"])
