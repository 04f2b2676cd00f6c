"""Batch inference jobs: score the lines of files with the model of a solution version."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from services.engine import metrics
from services.engine.computations.batch_scoring import InferenceSpec
from services.engine.computations.table import BATCH_INFERENCE
from services.engine.domain.deployment_config import BatchInferenceJobConfig
from services.engine.domain.state import BatchInferenceJob, SolutionVersion
from services.engine.jobs import group_datasets
from services.engine.jobs.resource_job import ResourceJob
from services.engine.training.recipes import RECIPES

if TYPE_CHECKING:
    from shared.jobs import Job


class BatchInference(ResourceJob[BatchInferenceJob]):
    """The job of a batch inference job."""

    @property
    def resource_type(self) -> type[BatchInferenceJob]:
        """Return the type of the job's resource."""
        return BatchInferenceJob

    async def run(self, job: Job) -> None:
        """Score the input of a batch inference job, with the interactions imported since the training."""
        resource = await self._start(job)
        if resource is None:
            return
        version = await self._solution_version(resource)
        source, output, tenant_store = await self._batch_locations(resource)
        model = version.facts
        config = resource.document.batch_inference_job_config or BatchInferenceJobConfig()
        spec = InferenceSpec(
            model.folder,
            model.trained_sha256,
            source.bucket,
            source.key,
            output.bucket,
            output.key,
            resource.document.num_results,
            resource.facts.filter,
            await self._later_objects(version),
            {str(name): influence for name, influence in (config.ranking_influence or {}).items()},
            ranks=RECIPES[model.recipe].ranks,
            exploration=config.item_exploration_config or {},
            seed=resource.id,
            spark_master=self.settings.spark_master if self.settings.compute == "spark" else None,
        )
        counts = await self._compute(job, BATCH_INFERENCE, spec, tenant_store=tenant_store)
        await self._complete(resource, asdict(counts))
        metrics.INFERRED_LINES.inc(counts.lines)

    async def _later_objects(self, version: SolutionVersion) -> list[str]:
        """Return the keys of the objects with interactions imported since the version was trained."""
        trained = version.facts.imported
        if trained is None:
            return []
        objects = await group_datasets.imported_objects(self.database, version)
        return [key for key in objects.get("INTERACTIONS", []) if key not in trained]
