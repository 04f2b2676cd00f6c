"""Batch segment jobs: the users who have the most affinity to what each line of a file names."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.engine.domain.resources import Type
from services.engine.personalize import filters, jobs, recipes
from services.engine.personalize.batch_inference_jobs import check_job_access
from services.engine.personalize.context import OperationContext, require_model
from services.engine.personalize.job_locations import JobInput, JobOutput
from services.engine.personalize.jobs import NewJob
from services.engine.personalize.members import (
    ArnText,
    Page,
    RoleArn,
    StatusView,
    WireModel,
)
from shared.aws import invalid_input

DEFAULT_RESULTS = 25
MOST_RESULTS = 5_000_000


class CreateBatchSegmentJob(NewJob):
    """A new job."""

    solution_version_arn: ArnText
    filter_arn: ArnText | None = None
    num_results: Annotated[int, Field(ge=1, le=MOST_RESULTS)] = DEFAULT_RESULTS
    job_input: JobInput
    job_output: JobOutput
    role_arn: RoleArn


class BatchSegmentJobCreated(WireModel):
    """Where it is."""

    batch_segment_job_arn: str


class BatchSegmentJobName(WireModel):
    """Which job."""

    batch_segment_job_arn: ArnText


class ListBatchSegmentJobs(Page):
    """The jobs of a version, or of all."""

    solution_version_arn: ArnText | None = None


class BatchSegmentJobSummary(StatusView):
    """A job in a list."""

    arn_member = "batchSegmentJobArn"
    name_member = "jobName"

    job_name: str
    batch_segment_job_arn: str
    solution_version_arn: str


class BatchSegmentJob(BatchSegmentJobSummary):
    """A job."""

    filter_arn: str | None = None
    num_results: int
    job_input: JobInput
    job_output: JobOutput
    role_arn: str


class BatchSegmentJobDescribed(WireModel):
    """The answer to Describe."""

    batch_segment_job: BatchSegmentJob


class BatchSegmentJobsListed(WireModel):
    """One page."""

    batch_segment_jobs: list[BatchSegmentJobSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateBatchSegmentJob) -> BatchSegmentJobCreated:
    """Queue a job over an ACTIVE version of a recipe that makes segments."""
    version = await context.find(request.solution_version_arn, Type.SOLUTION_VERSION, lock=True)
    require_model(version)
    if not recipes.makes_segments(version):
        raise invalid_input(
            f"The recipe {version.facts['recipe']} makes no user segments: make a batch inference job or a "
            "campaign of this version, or train one with aws-item-affinity or aws-item-attribute-affinity."
        )
    facts = await check_job_access(context, request.job_input, request.job_output, version.owner)
    job = await jobs.create_job(
        context,
        request,
        Type.BATCH_SEGMENT_JOB,
        version,
        context.settings.max_pending_batches,
        **await filters.expression_for_job(context, request.filter_arn, version.owner, "user"),
        **facts,
    )
    await context.enqueue(job)
    return BatchSegmentJobCreated(batch_segment_job_arn=job.arn)


async def describe(context: OperationContext, request: BatchSegmentJobName) -> BatchSegmentJobDescribed:
    """Show a job."""
    job = await context.find(request.batch_segment_job_arn, Type.BATCH_SEGMENT_JOB)
    return BatchSegmentJobDescribed(batch_segment_job=BatchSegmentJob.of(job))


async def list_page(context: OperationContext, request: ListBatchSegmentJobs) -> BatchSegmentJobsListed:
    """List jobs."""
    arn = request.solution_version_arn
    version = await context.find(arn, Type.SOLUTION_VERSION) if arn else None
    shown, token = await context.list_page(request, Type.BATCH_SEGMENT_JOB, BatchSegmentJobSummary, version)
    return BatchSegmentJobsListed(batch_segment_jobs=shown, next_token=token)
