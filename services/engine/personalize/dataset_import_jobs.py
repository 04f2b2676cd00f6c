"""Dataset import jobs: CSV files in the object store become rows of a dataset."""

from __future__ import annotations

from typing import Literal

from services.engine.domain.resources import UNFINISHED, Resource, Status, Type
from services.engine.personalize import job_locations, jobs
from services.engine.personalize.context import OperationContext
from services.engine.personalize.job_locations import DataSource
from services.engine.personalize.jobs import NewJob
from services.engine.personalize.members import (
    ArnText,
    Page,
    RoleArn,
    StatusView,
    WireModel,
)
from shared.aws import invalid_input


class CreateDatasetImportJob(NewJob):
    """A new import."""

    dataset_arn: ArnText
    data_source: DataSource
    role_arn: RoleArn | None = None
    import_mode: Literal["FULL", "INCREMENTAL"] = "FULL"
    publish_attribution_metrics_to_s3: bool | None = None


class DatasetImportJobCreated(WireModel):
    """Where it is."""

    dataset_import_job_arn: str


class DatasetImportJobName(WireModel):
    """Which import."""

    dataset_import_job_arn: ArnText


class ListDatasetImportJobs(Page):
    """The imports of a dataset, or of all."""

    dataset_arn: ArnText | None = None


class DatasetImportJobSummary(StatusView):
    """An import in a list."""

    arn_member = "datasetImportJobArn"
    name_member = "jobName"

    job_name: str
    dataset_import_job_arn: str
    import_mode: str


class DatasetImportJob(DatasetImportJobSummary):
    """An import."""

    dataset_arn: str
    data_source: DataSource
    role_arn: str | None = None
    publish_attribution_metrics_to_s3: bool | None = None


class DatasetImportJobDescribed(WireModel):
    """The answer to Describe."""

    dataset_import_job: DatasetImportJob


class DatasetImportJobsListed(WireModel):
    """One page."""

    dataset_import_jobs: list[DatasetImportJobSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateDatasetImportJob) -> DatasetImportJobCreated:
    """Queue an import; those of one dataset run one after the other, in the order of their creation."""
    if request.data_source.data_location is None:
        raise invalid_input(f"{job_locations.INVALID_DATA_LOCATION} dataSource.dataLocation is missing.")
    dataset = await context.find(request.dataset_arn, Type.DATASET, lock=True)
    location = request.data_source.data_location
    reads = [(location, job_locations.INVALID_DATA_LOCATION)]
    facts = await job_locations.check_access(context, dataset.owner, reads=reads)
    earlier = await context.resources.children(dataset.path, Type.DATASET_IMPORT_JOB)
    if request.import_mode == "INCREMENTAL" and not _could_have_rows(earlier):
        raise invalid_input(
            f"The dataset {dataset.arn} holds no rows of a FULL import yet; make one before an "
            "INCREMENTAL one."
        )
    job = await jobs.create_job(
        context, request, Type.DATASET_IMPORT_JOB, dataset, context.settings.max_pending_imports, **facts
    )
    # The worker that ends an import queues the next one of the same dataset.
    if not any(other.status in UNFINISHED for other in earlier):
        await context.enqueue(job)
    return DatasetImportJobCreated(dataset_import_job_arn=job.arn)


def _could_have_rows(earlier: list[Resource]) -> bool:
    return any(job.document["importMode"] == "FULL" and job.status != Status.FAILED for job in earlier)


async def describe(context: OperationContext, request: DatasetImportJobName) -> DatasetImportJobDescribed:
    """Show an import."""
    job = await context.find(request.dataset_import_job_arn, Type.DATASET_IMPORT_JOB)
    return DatasetImportJobDescribed(dataset_import_job=DatasetImportJob.of(job))


async def list_page(context: OperationContext, request: ListDatasetImportJobs) -> DatasetImportJobsListed:
    """List imports."""
    dataset = await context.find(request.dataset_arn, Type.DATASET) if request.dataset_arn else None
    shown, token = await context.list_page(request, Type.DATASET_IMPORT_JOB, DatasetImportJobSummary, dataset)
    return DatasetImportJobsListed(dataset_import_jobs=shown, next_token=token)
