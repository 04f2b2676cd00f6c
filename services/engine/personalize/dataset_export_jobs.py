"""Dataset export jobs: the rows of a dataset as CSV files in the object store."""

from __future__ import annotations

from typing import Literal

from services.engine.domain.resources import Type
from services.engine.personalize import job_locations, jobs
from services.engine.personalize.context import OperationContext
from services.engine.personalize.job_locations import JobOutput
from services.engine.personalize.jobs import NewJob
from services.engine.personalize.members import (
    ArnText,
    Page,
    RoleArn,
    StatusView,
    WireModel,
)

IngestionMode = Literal["BULK", "PUT", "ALL"]


class CreateDatasetExportJob(NewJob):
    """A new export; by default of what was put, as the service has it."""

    dataset_arn: ArnText
    ingestion_mode: IngestionMode = "PUT"
    role_arn: RoleArn
    job_output: JobOutput


class DatasetExportJobCreated(WireModel):
    """Where it is."""

    dataset_export_job_arn: str


class DatasetExportJobName(WireModel):
    """Which export."""

    dataset_export_job_arn: ArnText


class ListDatasetExportJobs(Page):
    """The exports of a dataset, or of all."""

    dataset_arn: ArnText | None = None


class DatasetExportJobSummary(StatusView):
    """An export in a list."""

    arn_member = "datasetExportJobArn"
    name_member = "jobName"

    job_name: str
    dataset_export_job_arn: str


class DatasetExportJob(DatasetExportJobSummary):
    """An export."""

    dataset_arn: str
    ingestion_mode: IngestionMode
    role_arn: str
    job_output: JobOutput


class DatasetExportJobDescribed(WireModel):
    """The answer to Describe."""

    dataset_export_job: DatasetExportJob


class DatasetExportJobsListed(WireModel):
    """One page."""

    dataset_export_jobs: list[DatasetExportJobSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateDatasetExportJob) -> DatasetExportJobCreated:
    """Queue an export of what the dataset holds when the export begins."""
    dataset = await context.find(request.dataset_arn, Type.DATASET, lock=True)
    writes = [(request.job_output.s3_data_destination.path, job_locations.INVALID_OUTPUT_PATH)]
    facts = await job_locations.check_access(context, dataset.owner, writes=writes)
    job = await jobs.create_job(
        context, request, Type.DATASET_EXPORT_JOB, dataset, context.settings.max_pending_exports, **facts
    )
    await context.enqueue(job)
    return DatasetExportJobCreated(dataset_export_job_arn=job.arn)


async def describe(context: OperationContext, request: DatasetExportJobName) -> DatasetExportJobDescribed:
    """Show an export."""
    job = await context.find(request.dataset_export_job_arn, Type.DATASET_EXPORT_JOB)
    return DatasetExportJobDescribed(dataset_export_job=DatasetExportJob.of(job))


async def list_page(context: OperationContext, request: ListDatasetExportJobs) -> DatasetExportJobsListed:
    """List exports."""
    dataset = await context.find(request.dataset_arn, Type.DATASET) if request.dataset_arn else None
    shown, token = await context.list_page(request, Type.DATASET_EXPORT_JOB, DatasetExportJobSummary, dataset)
    return DatasetExportJobsListed(dataset_export_jobs=shown, next_token=token)
