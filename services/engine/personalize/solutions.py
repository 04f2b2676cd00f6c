"""Solutions: a recipe with its configuration, in a dataset group."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.engine.domain import state
from services.engine.domain.resources import ResourceType
from services.engine.domain.solution_config import MAX_AUTO_TRAINING_DAYS, AutoTrainingConfig, SolutionConfig
from services.engine.personalize import dataset_groups, datasets, recipes, unsupported
from services.engine.personalize.context import NewState, OperationContext, check_no_dependents
from services.engine.personalize.members import (
    ArnText,
    Page,
    ResourceName,
    ShortText,
    StatusView,
    Tagged,
    WireModel,
    described_members,
)
from services.engine.training.recipes import Recipe, configuration
from shared.aws import invalid_input
from shared.errors import Permanent


class CreateSolution(Tagged):
    """The request of CreateSolution."""

    name: ResourceName
    perform_hpo: Annotated[bool, Field(alias="performHPO")] = False
    perform_auto_ml: Annotated[bool, Field(alias="performAutoML")] = False
    perform_auto_training: bool = True
    perform_incremental_update: bool | None = None
    recipe_arn: ArnText | None = None
    dataset_group_arn: ArnText
    event_type: ShortText | None = None
    solution_config: SolutionConfig | None = None


class SolutionCreated(WireModel):
    """The answer to CreateSolution."""

    solution_arn: str


class SolutionName(WireModel):
    """The ARN of a solution, in requests and answers."""

    solution_arn: ArnText


class ListSolutions(Page):
    """The request of ListSolutions."""

    dataset_group_arn: ArnText | None = None


class SolutionSummary(StatusView):
    """The view of a solution in a list."""

    arn_member = "solutionArn"

    name: str
    solution_arn: str
    recipe_arn: str


class VersionSummary(StatusView):
    """The view of a solution version in a list."""

    arn_member = "solutionVersionArn"

    solution_version_arn: str
    training_mode: str
    training_type: str


class Solution(SolutionSummary):
    """The view of a solution in the answer to Describe."""

    perform_hpo: Annotated[bool, Field(alias="performHPO")] = False
    perform_auto_ml: Annotated[bool, Field(alias="performAutoML")] = False
    perform_auto_training: bool
    perform_incremental_update: bool | None = None
    dataset_group_arn: str
    event_type: str | None = None
    solution_config: SolutionConfig | None = None
    latest_solution_version: VersionSummary | None = None
    latest_solution_update: state.SolutionUpdate | None = None


class SolutionDescribed(WireModel):
    """The answer to DescribeSolution."""

    solution: Solution


class SolutionsListed(WireModel):
    """One page of the answer to ListSolutions."""

    solutions: list[SolutionSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateSolution) -> SolutionCreated:
    """Create a solution: a recipe with its configuration, of which versions are trained.

    Raise WireError (InvalidInputException) for a configuration that the recipe or the schemas do not allow.
    """
    if request.perform_auto_ml:
        raise unsupported.error(unsupported.AUTO_ML)
    if request.recipe_arn is None:
        raise invalid_input("recipeArn is missing: name a recipe; ListRecipes shows them.")
    recipe = recipes.find(request.recipe_arn)
    group = await dataset_groups.lock_active(context, request.dataset_group_arn)
    document = state.SolutionDocument(
        **described_members(request, "dataset_group_arn", "recipe_arn"),
        dataset_group_arn=group.arn,
        recipe_arn=recipes.recipe_arn(recipe.name),
    )
    await _check_config(context, recipe, group, document)
    new = NewState(
        f"{ResourceType.SOLUTION}/{request.name}",
        request.name,
        group.owner,
        document,
        state.SolutionFacts(recipe=recipe.name),
        parent=group.path,
    )
    solution = await context.create(state.Solution, new, request)
    return SolutionCreated(solution_arn=str(solution.arn))


async def _check_config(
    context: OperationContext, recipe: Recipe, group: state.DatasetGroup, document: state.SolutionDocument
) -> None:
    if recipe.domain:
        raise invalid_input(
            f"The recipe {recipe.name} is a use case of the {recipe.domain} domain: make a recommender of it."
        )
    check_incremental(recipe, perform=document.perform_incremental_update)
    config = state.training_config(document)
    try:
        configuration.check(recipe, config)
        if config.training_data_config or config.optimization_objective:
            configuration.check_columns(config, await datasets.schemas_of_group(context, group))
    except Permanent as error:
        raise invalid_input(str(error)) from None
    check_schedule(document.solution_config.auto_training_config if document.solution_config else None)


def check_incremental(recipe: Recipe, *, perform: bool | None) -> None:
    """Raise WireError (InvalidInputException) for incremental updates of a recipe that has none."""
    if perform and not recipe.incremental:
        raise invalid_input(
            f"performIncrementalUpdate is supported only by aws-semantic-similarity, not by {recipe.name}: "
            "leave it out. A schedule, or trainingMode UPDATE, takes new items in."
        )


def check_schedule(config: AutoTrainingConfig | None) -> None:
    """Raise WireError (InvalidInputException) for a schedule outside of 1 to 30 days."""
    if config is None or config.days is None:
        return
    if not 1 <= config.days <= MAX_AUTO_TRAINING_DAYS:
        raise invalid_input(
            f"schedulingExpression {config.scheduling_expression!r} is out of range: from rate(1 day) to "
            f"rate({MAX_AUTO_TRAINING_DAYS} days)."
        )


async def describe(context: OperationContext, request: SolutionName) -> SolutionDescribed:
    """Describe a solution with its newest version."""
    solution = await context.find(request.solution_arn, state.Solution)
    versions = await context.resources.list_page(state.SolutionVersion, solution.path, None, 1)
    newest = VersionSummary.of(versions[0]) if versions else None
    return SolutionDescribed(solution=Solution.of(solution, latestSolutionVersion=newest))


async def list_page(context: OperationContext, request: ListSolutions) -> SolutionsListed:
    """List solutions."""
    group = await context.find_optional(request.dataset_group_arn, state.DatasetGroup)
    views, token = await context.list_page(request, state.Solution, SolutionSummary, group)
    return SolutionsListed(solutions=views, next_token=token)


async def delete(context: OperationContext, request: SolutionName) -> None:
    """Delete a solution with its versions.

    Raise WireError (ResourceInUseException) if a campaign or a running job needs one of them.
    """
    solution = await context.find(request.solution_arn, state.Solution, lock=True)
    resources = context.resources
    versions = await resources.list_children(state.SolutionVersion, solution.path)
    for version in versions:
        # Creating a campaign or a job locks the version: wait for that, so that it is seen below.
        await resources.get(version.path, lock=True)
    campaigns = await resources.children(solution.path, ResourceType.CAMPAIGN, with_deleting=True)
    check_no_dependents(campaigns, solution)
    check_no_dependents([version for version in versions if version.is_unfinished], solution)
    for version in versions:
        await _delete_version(context, version, solution)
    await resources.begin_deletion(solution)


async def _delete_version(
    context: OperationContext, version: state.SolutionVersion, solution: state.Solution
) -> None:
    resources, hours = context.resources, context.settings.garbage_hours
    jobs: list[state.ResourceState] = [
        *await resources.list_children(state.BatchInferenceJob, version.path),
        *await resources.list_children(state.BatchSegmentJob, version.path),
    ]
    check_no_dependents([job for job in jobs if job.is_unfinished], solution)
    # No operation shows a renewal, so a caller could not wait for it: it is deleted even while it runs.
    renewals = await resources.list_children(state.ModelRenewal, version.path)
    for renewal in renewals:
        await resources.discard(renewal.facts.folder, hours)
    for job in [*jobs, *renewals]:
        await resources.delete(job)
    await resources.discard(version.facts.folder, hours)
    await resources.delete(version)
