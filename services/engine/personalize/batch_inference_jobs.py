"""Batch inference jobs: they recommend items for each line of a file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from services.engine.domain import state
from services.engine.domain.deployment_config import BatchInferenceJobConfig
from services.engine.domain.hpo_config import ThemeGenerationConfig
from services.engine.domain.s3_config import JobInput, JobOutput
from services.engine.personalize import filters, job_locations, jobs, recipes, unsupported
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
from services.engine.training.recipes import RECIPES
from shared.aws import invalid_input

DEFAULT_RESULTS = 25
MAX_RESULTS = 500


class CreateBatchInferenceJob(NewJob):
    """The request of CreateBatchInferenceJob."""

    solution_version_arn: ArnText
    filter_arn: ArnText | None = None
    num_results: Annotated[int, Field(ge=1, le=MAX_RESULTS)] = DEFAULT_RESULTS
    job_input: JobInput
    job_output: JobOutput
    role_arn: RoleArn
    batch_inference_job_config: BatchInferenceJobConfig | None = None
    batch_inference_job_mode: Literal["BATCH_INFERENCE", "THEME_GENERATION"] = "BATCH_INFERENCE"
    theme_generation_config: ThemeGenerationConfig | None = None


class BatchInferenceJobCreated(WireModel):
    """The answer to CreateBatchInferenceJob."""

    batch_inference_job_arn: str


class BatchInferenceJobName(WireModel):
    """The ARN of a batch inference job, in requests and answers."""

    batch_inference_job_arn: ArnText


class ListBatchInferenceJobs(Page):
    """The request of ListBatchInferenceJobs."""

    solution_version_arn: ArnText | None = None


class BatchInferenceJobSummary(StatusView):
    """The view of a batch inference job in a list."""

    arn_member = "batchInferenceJobArn"
    name_member = "jobName"

    job_name: str
    batch_inference_job_arn: str
    solution_version_arn: str
    batch_inference_job_mode: str


class BatchInferenceJob(BatchInferenceJobSummary):
    """The view of a batch inference job in the answer to Describe."""

    num_results: int
    job_input: JobInput
    job_output: JobOutput
    role_arn: str
    batch_inference_job_config: BatchInferenceJobConfig | None = None
    filter_arn: str | None = None


class BatchInferenceJobDescribed(WireModel):
    """The answer to DescribeBatchInferenceJob."""

    batch_inference_job: BatchInferenceJob


class BatchInferenceJobsListed(WireModel):
    """One page of the answer to ListBatchInferenceJobs."""

    batch_inference_jobs: list[BatchInferenceJobSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateBatchInferenceJob) -> BatchInferenceJobCreated:
    """Recommend items for each line of a file, by the model of an ACTIVE solution version.

    Raise WireError (InvalidInputException) for a recipe without batch recommendations.
    """
    if request.batch_inference_job_mode == "THEME_GENERATION" or request.theme_generation_config:
        raise unsupported.error(unsupported.THEMES)
    version = await context.find(request.solution_version_arn, state.SolutionVersion, lock=True)
    require_model(version)
    _check_recipe(version.facts.recipe)
    recipes.check_selects_items(version, "batch inference jobs")
    store_key = await job_locations.check_input_and_output(
        context, request.job_input, request.job_output, version.owner
    )
    expression = await filters.expression_for_job(context, request.filter_arn, version.owner, "item")
    document = state.BatchInferenceJobDocument(
        **described_members(request, "solution_version_arn"), solution_version_arn=version.arn
    )
    facts = state.BatchJobFacts(store_key=store_key, filter=expression)
    limit = context.settings.max_pending_batches
    job = await jobs.create_job(context, state.BatchInferenceJob, request, version, (document, facts), limit)
    await context.enqueue(job)
    return BatchInferenceJobCreated(batch_inference_job_arn=str(job.arn))


def _check_recipe(name: str) -> None:
    recipe = RECIPES.get(name)
    if recipe is not None and not recipe.batch:
        raise invalid_input(f"The recipe {name} gives no batch recommendations: ask a campaign for them.")


async def describe(context: OperationContext, request: BatchInferenceJobName) -> BatchInferenceJobDescribed:
    """Describe a batch inference job."""
    job = await context.find(request.batch_inference_job_arn, state.BatchInferenceJob)
    return BatchInferenceJobDescribed(batch_inference_job=BatchInferenceJob.of(job))


async def list_page(context: OperationContext, request: ListBatchInferenceJobs) -> BatchInferenceJobsListed:
    """List batch inference jobs."""
    version = await context.find_optional(request.solution_version_arn, state.SolutionVersion)
    views, token = await context.list_page(
        request, state.BatchInferenceJob, BatchInferenceJobSummary, version
    )
    return BatchInferenceJobsListed(batch_inference_jobs=views, next_token=token)
