"""Dataset import jobs: they read rows of a dataset from CSV files in the object store."""

from __future__ import annotations

from services.engine.domain import state
from services.engine.domain.resources import Status
from services.engine.domain.s3_config import DataSource
from services.engine.personalize import job_locations, jobs
from services.engine.personalize.context import OperationContext
from services.engine.personalize.jobs import NewJob
from services.engine.personalize.members import (
    ArnText,
    Page,
    RoleArn,
    StatusView,
    WireModel,
    described_members,
)
from shared.aws import invalid_input


class CreateDatasetImportJob(NewJob):
    """The request of CreateDatasetImportJob."""

    dataset_arn: ArnText
    data_source: DataSource
    role_arn: RoleArn | None = None
    import_mode: state.ImportMode = "FULL"
    publish_attribution_metrics_to_s3: bool | None = None


class DatasetImportJobCreated(WireModel):
    """The answer to CreateDatasetImportJob."""

    dataset_import_job_arn: str


class DatasetImportJobName(WireModel):
    """The ARN of a dataset import job, in requests and answers."""

    dataset_import_job_arn: ArnText


class ListDatasetImportJobs(Page):
    """The request of ListDatasetImportJobs."""

    dataset_arn: ArnText | None = None


class DatasetImportJobSummary(StatusView):
    """The view of a dataset import job in a list."""

    arn_member = "datasetImportJobArn"
    name_member = "jobName"

    job_name: str
    dataset_import_job_arn: str
    import_mode: str


class DatasetImportJob(DatasetImportJobSummary):
    """The view of a dataset import job in the answer to Describe."""

    dataset_arn: str
    data_source: DataSource
    role_arn: str | None = None
    publish_attribution_metrics_to_s3: bool | None = None


class DatasetImportJobDescribed(WireModel):
    """The answer to DescribeDatasetImportJob."""

    dataset_import_job: DatasetImportJob


class DatasetImportJobsListed(WireModel):
    """One page of the answer to ListDatasetImportJobs."""

    dataset_import_jobs: list[DatasetImportJobSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateDatasetImportJob) -> DatasetImportJobCreated:
    """Import CSV files into a dataset; imports of one dataset run one after the other.

    Raise WireError (InvalidInputException) for an INCREMENTAL import before a FULL one.
    """
    location = request.data_source.data_location
    if location is None:
        raise invalid_input(f"{job_locations.INVALID_DATA_LOCATION} dataSource.dataLocation is missing.")
    dataset = await context.find(request.dataset_arn, state.Dataset, lock=True)
    reads = [(location, job_locations.INVALID_DATA_LOCATION)]
    store_key = await job_locations.check_access(context, dataset.owner, reads=reads)
    earlier = await context.resources.list_children(state.DatasetImportJob, dataset.path)
    if request.import_mode == "INCREMENTAL" and not _could_have_rows(earlier):
        raise invalid_input(
            f"The dataset {dataset.arn} holds no rows of a FULL import yet; make one before an "
            "INCREMENTAL one."
        )
    document = state.DatasetImportJobDocument(
        **described_members(request, "dataset_arn"), dataset_arn=dataset.arn
    )
    facts = state.DatasetImportJobFacts(store_key=store_key)
    limit = context.settings.max_pending_imports
    job = await jobs.create_job(context, state.DatasetImportJob, request, dataset, (document, facts), limit)
    # The worker that ends an import queues the next one of the same dataset.
    if not any(previous.is_unfinished for previous in earlier):
        await context.enqueue(job)
    return DatasetImportJobCreated(dataset_import_job_arn=str(job.arn))


def _could_have_rows(earlier: list[state.DatasetImportJob]) -> bool:
    return any(job.document.import_mode == "FULL" and job.status != Status.FAILED for job in earlier)


async def describe(context: OperationContext, request: DatasetImportJobName) -> DatasetImportJobDescribed:
    """Describe a dataset import job."""
    job = await context.find(request.dataset_import_job_arn, state.DatasetImportJob)
    return DatasetImportJobDescribed(dataset_import_job=DatasetImportJob.of(job))


async def list_page(context: OperationContext, request: ListDatasetImportJobs) -> DatasetImportJobsListed:
    """List dataset import jobs."""
    dataset = await context.find_optional(request.dataset_arn, state.Dataset)
    views, token = await context.list_page(request, state.DatasetImportJob, DatasetImportJobSummary, dataset)
    return DatasetImportJobsListed(dataset_import_jobs=views, next_token=token)
