"""Solutions: a recipe and its settings, over a dataset group."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from services.engine.domain import schemas
from services.engine.domain.resources import UNFINISHED, NewResource, Resource, Type
from services.engine.personalize import dataset_groups, recipes, unsupported
from services.engine.personalize.context import OperationContext, check_no_dependents
from services.engine.personalize.hpo import AutoMlConfig, HpoConfig
from services.engine.personalize.members import (
    ArnText,
    ColumnName,
    Influence,
    Page,
    Parameters,
    ResourceName,
    ShortText,
    StatusView,
    Tagged,
    WireModel,
    document,
)
from services.engine.recipes import Recipe, configuration
from shared.aws import invalid_input
from shared.errors import Permanent

DatasetTypeName = Annotated[str, StringConstraints(max_length=256, pattern=r"^[A-Za-z_]+$")]
Columns = Annotated[
    dict[DatasetTypeName, Annotated[tuple[ColumnName, ...], Field(max_length=50)]], Field(max_length=3)
]
MOST_AUTO_TRAINING_DAYS = 30


class EventParameters(WireModel):
    """What an event type counts."""

    event_type: ShortText | None = None
    event_value_threshold: Annotated[float, Field(allow_inf_nan=False)] | None = None
    weight: Influence | None = None


class EventsConfig(WireModel):
    """Event types with their weights."""

    event_parameters_list: Annotated[tuple[EventParameters, ...], Field(max_length=10)] | None = None


class OptimizationObjective(WireModel):
    """A numeric item attribute to maximise beside relevance."""

    item_attribute: Annotated[str, StringConstraints(min_length=1, max_length=150)] | None = None
    objective_sensitivity: Literal["LOW", "MEDIUM", "HIGH", "OFF"] | None = None


class TrainingDataConfig(WireModel):
    """Which columns count."""

    excluded_dataset_columns: Columns | None = None
    included_dataset_columns: Columns | None = None


class AutoTrainingConfig(WireModel):
    """How often a version is made by itself."""

    scheduling_expression: (
        Annotated[str, StringConstraints(min_length=1, max_length=16, pattern=r"^rate\(\d+ days?\)$")] | None
    ) = None


class SolutionConfig(WireModel):
    """The settings of a solution. Those of the search for hyperparameters are kept and not used."""

    event_value_threshold: ShortText | None = None
    hpo_config: HpoConfig | None = None
    algorithm_hyper_parameters: Parameters | None = None
    feature_transformation_parameters: Parameters | None = None
    auto_ml_config: Annotated[AutoMlConfig | None, Field(alias="autoMLConfig")] = None
    events_config: EventsConfig | None = None
    optimization_objective: OptimizationObjective | None = None
    training_data_config: TrainingDataConfig | None = None
    auto_training_config: AutoTrainingConfig | None = None


class CreateSolution(Tagged):
    """A new solution."""

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
    """Where it is."""

    solution_arn: str


class SolutionName(WireModel):
    """Which solution."""

    solution_arn: ArnText


class ListSolutions(Page):
    """The solutions of a group, or of all."""

    dataset_group_arn: ArnText | None = None


class SolutionSummary(StatusView):
    """A solution in a list."""

    arn_member = "solutionArn"

    name: str
    solution_arn: str
    recipe_arn: str


class VersionSummary(StatusView):
    """A version in a list, and the newest one in the solution."""

    arn_member = "solutionVersionArn"

    solution_version_arn: str
    training_mode: str
    training_type: str


class Solution(SolutionSummary):
    """A solution."""

    perform_hpo: Annotated[bool, Field(alias="performHPO")] = False
    perform_auto_ml: Annotated[bool, Field(alias="performAutoML")] = False
    perform_auto_training: bool
    perform_incremental_update: bool | None = None
    dataset_group_arn: str
    event_type: str | None = None
    solution_config: dict[str, Any] | None = None
    latest_solution_version: VersionSummary | None = None
    latest_solution_update: dict[str, Any] | None = None


class SolutionDescribed(WireModel):
    """The answer to Describe."""

    solution: Solution


class SolutionsListed(WireModel):
    """One page."""

    solutions: list[SolutionSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateSolution) -> SolutionCreated:
    """Keep a solution; versions of it are what is trained."""
    if request.perform_auto_ml:
        raise unsupported.error(unsupported.AUTO_ML)
    if request.recipe_arn is None:
        raise invalid_input("recipeArn is missing: name a recipe; ListRecipes shows them.")
    recipe = recipes.find(request.recipe_arn)
    group = await dataset_groups.lock_active(context, request.dataset_group_arn)
    await _check_config(context, recipe, group, request)
    solution = await context.create(
        NewResource(
            Type.SOLUTION,
            f"{Type.SOLUTION}/{request.name}",
            request.name,
            group.owner,
            document(request, "dataset_group_arn", "recipe_arn")
            | {"datasetGroupArn": group.arn, "recipeArn": recipes.recipe_arn(recipe.name)},
            parent=group.path,
            facts={"recipe": recipe.name},
        ),
        request,
    )
    return SolutionCreated(solution_arn=solution.arn)


async def _check_config(
    context: OperationContext, recipe: Recipe, group: Resource, request: CreateSolution
) -> None:
    """Refuse what no pattern can tell."""
    if recipe.domain:
        raise invalid_input(
            f"The recipe {recipe.name} is a use case of the {recipe.domain} domain: make a recommender of it."
        )
    check_incremental(recipe, perform=request.perform_incremental_update)
    settings = settings_of(document(request))
    try:
        configuration.check(recipe, settings)
        if "trainingDataConfig" in settings or "optimizationObjective" in settings:
            configuration.check_columns(settings, await _schemas_of(context, group))
    except Permanent as error:
        raise invalid_input(str(error)) from None
    check_schedule(request.solution_config.auto_training_config if request.solution_config else None)


def check_incremental(recipe: Recipe, *, perform: bool | None) -> None:
    """InvalidInputException when incremental updates are asked of a recipe that has none."""
    if perform and not recipe.incremental:
        raise invalid_input(
            f"performIncrementalUpdate is supported only by aws-semantic-similarity, not by {recipe.name}: "
            "leave it out. A schedule, or trainingMode UPDATE, takes new items in."
        )


async def _schemas_of(context: OperationContext, group: Resource) -> dict[str, schemas.Schema]:
    """The schemas of a group's datasets, by type."""
    found = {}
    for dataset in await context.resources.children(group.path, Type.DATASET):
        schema = await context.find(dataset.document["schemaArn"], Type.SCHEMA)
        found[dataset.document["datasetType"]] = schemas.parse(schema.document["schema"])
    return found


def check_schedule(config: AutoTrainingConfig | None) -> None:
    """InvalidInputException unless a schedule is between one day and thirty."""
    if config is None or config.scheduling_expression is None:
        return
    days = int("".join(re.findall(r"\d+", config.scheduling_expression)))
    if not 1 <= days <= MOST_AUTO_TRAINING_DAYS:
        raise invalid_input(
            f"schedulingExpression {config.scheduling_expression!r} is out of range: from rate(1 day) to "
            f"rate({MOST_AUTO_TRAINING_DAYS} days)."
        )


def settings_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """A solution's or a version's settings, as recipes read them."""
    settings: dict[str, Any] = dict(document.get("solutionConfig", {}))
    return {"eventType": document["eventType"], **settings} if "eventType" in document else settings


async def describe(context: OperationContext, request: SolutionName) -> SolutionDescribed:
    """Show a solution with its newest version."""
    solution = await context.find(request.solution_arn, Type.SOLUTION)
    versions = await context.resources.page(Type.SOLUTION_VERSION, solution.path, None, 1)
    latest = VersionSummary.of(versions[0]) if versions else None
    return SolutionDescribed(solution=Solution.of(solution, latestSolutionVersion=latest))


async def list_page(context: OperationContext, request: ListSolutions) -> SolutionsListed:
    """List solutions."""
    group = (
        await context.find(request.dataset_group_arn, Type.DATASET_GROUP)
        if request.dataset_group_arn
        else None
    )
    shown, token = await context.list_page(request, Type.SOLUTION, SolutionSummary, group)
    return SolutionsListed(solutions=shown, next_token=token)


async def delete(context: OperationContext, request: SolutionName) -> None:
    """Delete a solution with its versions, unless a campaign or a job needs one of them."""
    solution = await context.find(request.solution_arn, Type.SOLUTION, lock=True)
    resources = context.resources
    versions = await resources.children(solution.path, Type.SOLUTION_VERSION)
    for version in versions:
        # Whoever makes a campaign or a job of a version holds it: then that is seen here, once it is made.
        await resources.get(version.path, lock=True)
    check_no_dependents(await resources.children(solution.path, Type.CAMPAIGN, with_deleting=True), solution)
    check_no_dependents([version for version in versions if version.status in UNFINISHED], solution)
    for version in versions:
        await _delete_version(context, version, solution)
    await resources.begin_deletion(solution)


async def _delete_version(context: OperationContext, version: Resource, solution: Resource) -> None:
    resources = context.resources
    batches = await resources.children(version.path, Type.BATCH_INFERENCE_JOB, Type.BATCH_SEGMENT_JOB)
    check_no_dependents([job for job in batches if job.status in UNFINISHED], solution)
    # Nobody sees a renewal or could wait for it: one that is under way is given up.
    renewals = await resources.children(version.path, Type.MODEL_RENEWAL)
    for renewal in renewals:
        await resources.discard(renewal.facts["folder"], context.settings.garbage_hours)
    for job in [*batches, *renewals]:
        await resources.delete(job)
    if folder := version.facts.get("folder"):
        await resources.discard(folder, context.settings.garbage_hours)
    await resources.delete(version)
