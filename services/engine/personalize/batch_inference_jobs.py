"""Batch inference jobs: recommendations for every line of a file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from services.engine.domain.resources import Type
from services.engine.personalize import filters, job_locations, jobs, recipes, unsupported
from services.engine.personalize.context import OperationContext, require_model
from services.engine.personalize.hpo import ThemeGenerationConfig
from services.engine.personalize.job_locations import JobInput, JobOutput
from services.engine.personalize.jobs import NewJob
from services.engine.personalize.members import (
    ArnText,
    ExplorationConfig,
    Page,
    RankingInfluence,
    RoleArn,
    StatusView,
    WireModel,
)
from services.engine.recipes import RECIPES
from shared.aws import invalid_input

DEFAULT_RESULTS = 25
MOST_RESULTS = 500


class BatchInferenceJobConfig(WireModel):
    """How much is explored."""

    item_exploration_config: ExplorationConfig | None = None
    ranking_influence: RankingInfluence | None = None


class CreateBatchInferenceJob(NewJob):
    """A new job."""

    solution_version_arn: ArnText
    filter_arn: ArnText | None = None
    num_results: Annotated[int, Field(ge=1, le=MOST_RESULTS)] = DEFAULT_RESULTS
    job_input: JobInput
    job_output: JobOutput
    role_arn: RoleArn
    batch_inference_job_config: BatchInferenceJobConfig | None = None
    batch_inference_job_mode: Literal["BATCH_INFERENCE", "THEME_GENERATION"] = "BATCH_INFERENCE"
    theme_generation_config: ThemeGenerationConfig | None = None


class BatchInferenceJobCreated(WireModel):
    """Where it is."""

    batch_inference_job_arn: str


class BatchInferenceJobName(WireModel):
    """Which job."""

    batch_inference_job_arn: ArnText


class ListBatchInferenceJobs(Page):
    """The jobs of a version, or of all."""

    solution_version_arn: ArnText | None = None


class BatchInferenceJobSummary(StatusView):
    """A job in a list."""

    arn_member = "batchInferenceJobArn"
    name_member = "jobName"

    job_name: str
    batch_inference_job_arn: str
    solution_version_arn: str
    batch_inference_job_mode: str


class BatchInferenceJob(BatchInferenceJobSummary):
    """A job."""

    num_results: int
    job_input: JobInput
    job_output: JobOutput
    role_arn: str
    batch_inference_job_config: BatchInferenceJobConfig | None = None
    filter_arn: str | None = None


class BatchInferenceJobDescribed(WireModel):
    """The answer to Describe."""

    batch_inference_job: BatchInferenceJob


class BatchInferenceJobsListed(WireModel):
    """One page."""

    batch_inference_jobs: list[BatchInferenceJobSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateBatchInferenceJob) -> BatchInferenceJobCreated:
    """Queue a job over an ACTIVE version."""
    if request.batch_inference_job_mode == "THEME_GENERATION" or request.theme_generation_config:
        raise unsupported.error(unsupported.THEMES)
    version = await context.find(request.solution_version_arn, Type.SOLUTION_VERSION, lock=True)
    require_model(version)
    _check_recipe(version.facts["recipe"])
    recipes.check_selects_items(version, "batch inference jobs")
    facts = await check_job_access(context, request.job_input, request.job_output, version.owner)
    job = await jobs.create_job(
        context,
        request,
        Type.BATCH_INFERENCE_JOB,
        version,
        context.settings.max_pending_batches,
        **await filters.expression_for_job(context, request.filter_arn, version.owner, "item"),
        **facts,
    )
    await context.enqueue(job)
    return BatchInferenceJobCreated(batch_inference_job_arn=job.arn)


def _check_recipe(name: str) -> None:
    recipe = RECIPES.get(name)
    if recipe is not None and not recipe.batch:
        raise invalid_input(f"The recipe {name} gives no batch recommendations: ask a campaign for them.")


async def check_job_access(
    context: OperationContext, job_input: JobInput, job_output: JobOutput, tenant: str
) -> dict[str, Any]:
    """Return a job's facts; InvalidInputException when it may not read its input, or not write its output."""
    reads = [(job_input.s3_data_source.path, job_locations.INVALID_INPUT_PATH)]
    writes = [(job_output.s3_data_destination.path, job_locations.INVALID_OUTPUT_PATH)]
    return await job_locations.check_access(context, tenant, reads=reads, writes=writes)


async def describe(context: OperationContext, request: BatchInferenceJobName) -> BatchInferenceJobDescribed:
    """Show a job."""
    job = await context.find(request.batch_inference_job_arn, Type.BATCH_INFERENCE_JOB)
    return BatchInferenceJobDescribed(batch_inference_job=BatchInferenceJob.of(job))


async def list_page(context: OperationContext, request: ListBatchInferenceJobs) -> BatchInferenceJobsListed:
    """List jobs."""
    version = (
        await context.find(request.solution_version_arn, Type.SOLUTION_VERSION)
        if request.solution_version_arn
        else None
    )
    shown, token = await context.list_page(
        request, Type.BATCH_INFERENCE_JOB, BatchInferenceJobSummary, version
    )
    return BatchInferenceJobsListed(batch_inference_jobs=shown, next_token=token)
