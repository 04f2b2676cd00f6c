"""Data deletion jobs: they delete all data of the users whose ids are in a file.

Their status words differ from those of all other resources; see
https://docs.aws.amazon.com/personalize/latest/dg/API_DataDeletionJob.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from services.engine.domain import state
from services.engine.domain.resources import Status
from services.engine.domain.s3_config import DataSource
from services.engine.personalize import job_locations, jobs
from services.engine.personalize.context import OperationContext
from services.engine.personalize.dataset_groups import lock_active
from services.engine.personalize.jobs import NewJob
from services.engine.personalize.members import (
    ArnText,
    Page,
    RoleArn,
    StatusView,
    WireModel,
)
from shared.aws import invalid_input

STATUS_WORDS = {
    Status.PENDING: "PENDING",
    Status.IN_PROGRESS: "IN_PROGRESS",
    Status.ACTIVE: "COMPLETED",
    Status.FAILED: "FAILED",
}


class CreateDataDeletionJob(NewJob):
    """The request of CreateDataDeletionJob."""

    dataset_group_arn: ArnText
    data_source: DataSource
    role_arn: RoleArn


class DataDeletionJobCreated(WireModel):
    """The answer to CreateDataDeletionJob."""

    data_deletion_job_arn: str


class DataDeletionJobName(WireModel):
    """The ARN of a data deletion job, in requests and answers."""

    data_deletion_job_arn: ArnText


class ListDataDeletionJobs(Page):
    """The request of ListDataDeletionJobs."""

    dataset_group_arn: ArnText | None = None


class DataDeletionJobSummary(StatusView):
    """The view of a data deletion job in a list."""

    arn_member = "dataDeletionJobArn"
    name_member = "jobName"

    job_name: str
    data_deletion_job_arn: str
    dataset_group_arn: str

    @classmethod
    def of(cls, resource: state.ResourceState, **computed: Any) -> Self:
        """Return the view of a job, with the status words of data deletion jobs."""
        return super().of(resource, status=STATUS_WORDS[resource.status], **computed)


class DataDeletionJob(DataDeletionJobSummary):
    """The view of a data deletion job in the answer to Describe.

    `num_deleted` counts rows once the job is COMPLETED.
    """

    data_source: DataSource
    role_arn: str
    num_deleted: int | None = None


class DataDeletionJobDescribed(WireModel):
    """The answer to DescribeDataDeletionJob."""

    data_deletion_job: DataDeletionJob


class DataDeletionJobsListed(WireModel):
    """One page of the answer to ListDataDeletionJobs."""

    data_deletion_jobs: list[DataDeletionJobSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateDataDeletionJob) -> DataDeletionJobCreated:
    """Delete the users whose ids are in CSV files."""
    location = request.data_source.data_location
    if location is None:
        raise invalid_input(f"{job_locations.INVALID_DATA_LOCATION} dataSource.dataLocation is missing.")
    group = await lock_active(context, request.dataset_group_arn)
    reads = [(location, job_locations.INVALID_DATA_LOCATION)]
    store_key = await job_locations.check_access(context, group.owner, reads=reads)
    document = state.DataDeletionJobDocument(
        dataset_group_arn=group.arn, data_source=request.data_source, role_arn=request.role_arn
    )
    facts = state.DataDeletionJobFacts(store_key=store_key)
    limit = context.settings.max_pending_deletions
    job = await jobs.create_job(context, state.DataDeletionJob, request, group, (document, facts), limit)
    await context.enqueue(job)
    return DataDeletionJobCreated(data_deletion_job_arn=str(job.arn))


async def begin(
    context: OperationContext, group: state.DatasetGroup, name: str, users: Sequence[str]
) -> state.DataDeletionJob:
    """Delete users whose ids are known, without a file. Raises WireError as `create` does."""
    document = state.DataDeletionJobDocument(
        dataset_group_arn=group.arn,
        data_source=DataSource(),
        role_arn=f"arn:aws:iam::{group.account}:role/endcap",
    )
    facts = state.DataDeletionJobFacts(users=list(users))
    limit = context.settings.max_pending_deletions
    request = NewJob(job_name=name)
    job = await jobs.create_job(context, state.DataDeletionJob, request, group, (document, facts), limit)
    await context.enqueue(job)
    return job


async def describe(context: OperationContext, request: DataDeletionJobName) -> DataDeletionJobDescribed:
    """Describe a data deletion job."""
    job = await context.find(request.data_deletion_job_arn, state.DataDeletionJob)
    return DataDeletionJobDescribed(data_deletion_job=DataDeletionJob.of(job))


async def list_page(context: OperationContext, request: ListDataDeletionJobs) -> DataDeletionJobsListed:
    """List data deletion jobs."""
    group = await context.find_optional(request.dataset_group_arn, state.DatasetGroup)
    views, token = await context.list_page(request, state.DataDeletionJob, DataDeletionJobSummary, group)
    return DataDeletionJobsListed(data_deletion_jobs=views, next_token=token)
