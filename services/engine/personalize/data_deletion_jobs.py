"""Data deletion jobs: a file of user ids, of whom nothing is kept.

Their status words are others than those of every other resource.
"""

from __future__ import annotations

from typing import Any, Self

from services.engine.domain.resources import Resource, Status, Type
from services.engine.personalize import job_locations, jobs
from services.engine.personalize.context import OperationContext
from services.engine.personalize.dataset_groups import lock_active
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

WORDS = {
    Status.PENDING: "PENDING",
    Status.IN_PROGRESS: "IN_PROGRESS",
    Status.ACTIVE: "COMPLETED",
    Status.FAILED: "FAILED",
}


class CreateDataDeletionJob(NewJob):
    """A new deletion."""

    dataset_group_arn: ArnText
    data_source: DataSource
    role_arn: RoleArn


class DataDeletionJobCreated(WireModel):
    """Where it is."""

    data_deletion_job_arn: str


class DataDeletionJobName(WireModel):
    """Which deletion."""

    data_deletion_job_arn: ArnText


class ListDataDeletionJobs(Page):
    """The deletions of a dataset group, or of all."""

    dataset_group_arn: ArnText | None = None


class DataDeletionJobSummary(StatusView):
    """A deletion in a list."""

    arn_member = "dataDeletionJobArn"
    name_member = "jobName"

    job_name: str
    data_deletion_job_arn: str
    dataset_group_arn: str

    @classmethod
    def of(cls, resource: Resource, **more: Any) -> Self:
        """The deletion in its own status words."""
        return super().of(resource, status=WORDS[Status(resource.status)], **more)


class DataDeletionJob(DataDeletionJobSummary):
    """A deletion; `num_deleted` counts rows, once it is COMPLETED."""

    data_source: DataSource
    role_arn: str
    num_deleted: int | None = None


class DataDeletionJobDescribed(WireModel):
    """The answer to Describe."""

    data_deletion_job: DataDeletionJob


class DataDeletionJobsListed(WireModel):
    """One page."""

    data_deletion_jobs: list[DataDeletionJobSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateDataDeletionJob) -> DataDeletionJobCreated:
    """Queue a deletion."""
    location = request.data_source.data_location
    if location is None:
        raise invalid_input(f"{job_locations.INVALID_DATA_LOCATION} dataSource.dataLocation is missing.")
    group = await lock_active(context, request.dataset_group_arn)
    reads = [(location, job_locations.INVALID_DATA_LOCATION)]
    facts = await job_locations.check_access(context, group.owner, reads=reads)
    job = await jobs.create_job(
        context, request, Type.DATA_DELETION_JOB, group, context.settings.max_pending_deletions, **facts
    )
    await context.enqueue(job)
    return DataDeletionJobCreated(data_deletion_job_arn=job.arn)


async def describe(context: OperationContext, request: DataDeletionJobName) -> DataDeletionJobDescribed:
    """Show a deletion."""
    job = await context.find(request.data_deletion_job_arn, Type.DATA_DELETION_JOB)
    return DataDeletionJobDescribed(data_deletion_job=DataDeletionJob.of(job))


async def list_page(context: OperationContext, request: ListDataDeletionJobs) -> DataDeletionJobsListed:
    """List deletions."""
    arn = request.dataset_group_arn
    group = await context.find(arn, Type.DATASET_GROUP) if arn else None
    shown, token = await context.list_page(request, Type.DATA_DELETION_JOB, DataDeletionJobSummary, group)
    return DataDeletionJobsListed(data_deletion_jobs=shown, next_token=token)
