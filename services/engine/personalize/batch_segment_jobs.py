"""Batch segment jobs: they select the users with the most affinity to the items that each line names."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.engine.domain import state
from services.engine.domain.s3_config import JobInput, JobOutput
from services.engine.personalize import filters, job_locations, jobs, recipes
from services.engine.personalize.context import OperationContext, require_model
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

DEFAULT_RESULTS = 25
MAX_RESULTS = 5_000_000


class CreateBatchSegmentJob(NewJob):
    """The request of CreateBatchSegmentJob."""

    solution_version_arn: ArnText
    filter_arn: ArnText | None = None
    num_results: Annotated[int, Field(ge=1, le=MAX_RESULTS)] = DEFAULT_RESULTS
    job_input: JobInput
    job_output: JobOutput
    role_arn: RoleArn


class BatchSegmentJobCreated(WireModel):
    """The answer to CreateBatchSegmentJob."""

    batch_segment_job_arn: str


class BatchSegmentJobName(WireModel):
    """The ARN of a batch segment job, in requests and answers."""

    batch_segment_job_arn: ArnText


class ListBatchSegmentJobs(Page):
    """The request of ListBatchSegmentJobs."""

    solution_version_arn: ArnText | None = None


class BatchSegmentJobSummary(StatusView):
    """The view of a batch segment job in a list."""

    arn_member = "batchSegmentJobArn"
    name_member = "jobName"

    job_name: str
    batch_segment_job_arn: str
    solution_version_arn: str


class BatchSegmentJob(BatchSegmentJobSummary):
    """The view of a batch segment job in the answer to Describe."""

    filter_arn: str | None = None
    num_results: int
    job_input: JobInput
    job_output: JobOutput
    role_arn: str


class BatchSegmentJobDescribed(WireModel):
    """The answer to DescribeBatchSegmentJob."""

    batch_segment_job: BatchSegmentJob


class BatchSegmentJobsListed(WireModel):
    """One page of the answer to ListBatchSegmentJobs."""

    batch_segment_jobs: list[BatchSegmentJobSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateBatchSegmentJob) -> BatchSegmentJobCreated:
    """Select user segments for each line of a file, by the model of an ACTIVE solution version.

    Raise WireError (InvalidInputException) for a recipe that makes no user segments.
    """
    version = await context.find(request.solution_version_arn, state.SolutionVersion, lock=True)
    require_model(version)
    if not recipes.makes_segments(version):
        raise invalid_input(
            f"The recipe {version.facts.recipe} makes no user segments: make a batch inference job or a "
            "campaign of this version, or train one with aws-item-affinity or aws-item-attribute-affinity."
        )
    store_key = await job_locations.check_input_and_output(
        context, request.job_input, request.job_output, version.owner
    )
    expression = await filters.expression_for_job(context, request.filter_arn, version.owner, "user")
    document = state.BatchSegmentJobDocument(
        **described_members(request, "solution_version_arn"), solution_version_arn=version.arn
    )
    facts = state.BatchJobFacts(store_key=store_key, filter=expression)
    limit = context.settings.max_pending_batches
    job = await jobs.create_job(context, state.BatchSegmentJob, request, version, (document, facts), limit)
    await context.enqueue(job)
    return BatchSegmentJobCreated(batch_segment_job_arn=str(job.arn))


async def describe(context: OperationContext, request: BatchSegmentJobName) -> BatchSegmentJobDescribed:
    """Describe a batch segment job."""
    job = await context.find(request.batch_segment_job_arn, state.BatchSegmentJob)
    return BatchSegmentJobDescribed(batch_segment_job=BatchSegmentJob.of(job))


async def list_page(context: OperationContext, request: ListBatchSegmentJobs) -> BatchSegmentJobsListed:
    """List batch segment jobs."""
    version = await context.find_optional(request.solution_version_arn, state.SolutionVersion)
    views, token = await context.list_page(request, state.BatchSegmentJob, BatchSegmentJobSummary, version)
    return BatchSegmentJobsListed(batch_segment_jobs=views, next_token=token)
