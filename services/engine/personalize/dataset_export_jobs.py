"""Dataset export jobs: they write the rows of a dataset to CSV files in the object store."""

from __future__ import annotations

from services.engine.domain import state
from services.engine.domain.s3_config import JobOutput
from services.engine.personalize import job_locations, jobs
from services.engine.personalize.context import OperationContext
from services.engine.personalize.jobs import NewJob
from services.engine.personalize.members import (
    ArnText,
    Page,
    RoleArn,
    StatusView,
    WireModel,
)


class CreateDatasetExportJob(NewJob):
    """The request of CreateDatasetExportJob."""

    dataset_arn: ArnText
    ingestion_mode: state.IngestionMode = "PUT"
    role_arn: RoleArn
    job_output: JobOutput


class DatasetExportJobCreated(WireModel):
    """The answer to CreateDatasetExportJob."""

    dataset_export_job_arn: str


class DatasetExportJobName(WireModel):
    """The ARN of a dataset export job, in requests and answers."""

    dataset_export_job_arn: ArnText


class ListDatasetExportJobs(Page):
    """The request of ListDatasetExportJobs."""

    dataset_arn: ArnText | None = None


class DatasetExportJobSummary(StatusView):
    """The view of a dataset export job in a list."""

    arn_member = "datasetExportJobArn"
    name_member = "jobName"

    job_name: str
    dataset_export_job_arn: str


class DatasetExportJob(DatasetExportJobSummary):
    """The view of a dataset export job in the answer to Describe."""

    dataset_arn: str
    ingestion_mode: state.IngestionMode
    role_arn: str
    job_output: JobOutput


class DatasetExportJobDescribed(WireModel):
    """The answer to DescribeDatasetExportJob."""

    dataset_export_job: DatasetExportJob


class DatasetExportJobsListed(WireModel):
    """One page of the answer to ListDatasetExportJobs."""

    dataset_export_jobs: list[DatasetExportJobSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateDatasetExportJob) -> DatasetExportJobCreated:
    """Export the rows that the dataset has when the job begins."""
    dataset = await context.find(request.dataset_arn, state.Dataset, lock=True)
    writes = [(request.job_output.s3_data_destination.path, job_locations.INVALID_OUTPUT_PATH)]
    facts = state.JobFacts(store_key=await job_locations.check_access(context, dataset.owner, writes=writes))
    document = state.DatasetExportJobDocument(
        dataset_arn=dataset.arn,
        ingestion_mode=request.ingestion_mode,
        role_arn=request.role_arn,
        job_output=request.job_output,
    )
    limit = context.settings.max_pending_exports
    job = await jobs.create_job(context, state.DatasetExportJob, request, dataset, (document, facts), limit)
    await context.enqueue(job)
    return DatasetExportJobCreated(dataset_export_job_arn=str(job.arn))


async def describe(context: OperationContext, request: DatasetExportJobName) -> DatasetExportJobDescribed:
    """Describe a dataset export job."""
    job = await context.find(request.dataset_export_job_arn, state.DatasetExportJob)
    return DatasetExportJobDescribed(dataset_export_job=DatasetExportJob.of(job))


async def list_page(context: OperationContext, request: ListDatasetExportJobs) -> DatasetExportJobsListed:
    """List dataset export jobs."""
    dataset = await context.find_optional(request.dataset_arn, state.Dataset)
    views, token = await context.list_page(request, state.DatasetExportJob, DatasetExportJobSummary, dataset)
    return DatasetExportJobsListed(dataset_export_jobs=views, next_token=token)
