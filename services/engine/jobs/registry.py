"""All kinds of job of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from services.engine.domain.resources import ResourceType
from services.engine.jobs import metric_attributions
from services.engine.jobs.batch_inferences import BatchInference
from services.engine.jobs.batch_segments import BatchSegment
from services.engine.jobs.data_deletions import DataDeletion
from services.engine.jobs.dataset_exports import DatasetExport
from services.engine.jobs.dataset_imports import DatasetImport
from services.engine.jobs.metric_attributions import MetricAttributionCount
from services.engine.jobs.trainings import IncrementalUpdate, RecommenderTraining, Training

if TYPE_CHECKING:
    from services.engine.jobs.resource_job import ResourceJob
    from services.engine.settings import Settings
    from shared.jobs import Handler, Job
    from shared.postgres import Database

_JOBS: Mapping[str, type[ResourceJob[Any]]] = {
    ResourceType.DATASET_IMPORT_JOB.value: DatasetImport,
    ResourceType.SOLUTION_VERSION.value: Training,
    ResourceType.RECOMMENDER_TRAINING.value: RecommenderTraining,
    ResourceType.MODEL_RENEWAL.value: IncrementalUpdate,
    ResourceType.BATCH_INFERENCE_JOB.value: BatchInference,
    ResourceType.BATCH_SEGMENT_JOB.value: BatchSegment,
    ResourceType.DATASET_EXPORT_JOB.value: DatasetExport,
    ResourceType.DATA_DELETION_JOB.value: DataDeletion,
    metric_attributions.KIND: MetricAttributionCount,
}


class EngineJobs:
    """The jobs of the engine by kind, for a `JobWorker`."""

    def __init__(self, database: Database, settings: Settings) -> None:
        """Make one handler object for each kind."""
        self._jobs = {kind: job_class(database, settings) for kind, job_class in _JOBS.items()}

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The function that runs a job, by kind."""
        return {kind: job.run for kind, job in self._jobs.items()}

    async def failed(self, job: Job, sentence: str) -> None:
        """Record why a job has failed."""
        await self._jobs[job.kind].failed(job, sentence)
