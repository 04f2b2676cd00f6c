"""Solution versions: trained models, and their offline metrics."""

from __future__ import annotations

import secrets
from typing import Annotated, Literal

from pydantic import Field

from services.engine.domain import state
from services.engine.domain.locations import model_prefix
from services.engine.domain.resources import ResourceType, Status
from services.engine.domain.solution_config import SolutionConfig
from services.engine.personalize import algorithms
from services.engine.personalize.context import (
    NewState,
    OperationContext,
    already_exists,
    in_use,
    require_active,
)
from services.engine.personalize.members import ArnText, Page, ResourceName, Tagged, WireModel
from services.engine.personalize.solutions import VersionSummary
from services.engine.training.recipes import RECIPES
from shared.aws import invalid_input


class CreateSolutionVersion(Tagged):
    """The request of CreateSolutionVersion."""

    name: ResourceName | None = None
    solution_arn: ArnText
    training_mode: Literal["FULL", "UPDATE", "AUTOTRAIN"] = "FULL"


class SolutionVersionCreated(WireModel):
    """The answer to CreateSolutionVersion."""

    solution_version_arn: str


class SolutionVersionName(WireModel):
    """The ARN of a solution version, in requests and answers."""

    solution_version_arn: ArnText


class ListSolutionVersions(Page):
    """The request of ListSolutionVersions."""

    solution_arn: ArnText | None = None


class TunedHpoParams(WireModel):
    """The hyperparameters that a version was trained with."""

    algorithm_hyper_parameters: dict[str, str]


class SolutionVersion(VersionSummary):
    """The view of a solution version in the answer to Describe."""

    name: str
    solution_arn: str
    dataset_group_arn: str
    recipe_arn: str
    perform_hpo: Annotated[bool, Field(alias="performHPO")] = False
    perform_auto_ml: Annotated[bool, Field(alias="performAutoML")] = False
    perform_incremental_update: bool | None = None
    event_type: str | None = None
    solution_config: SolutionConfig | None = None
    training_hours: float | None = None
    tuned_hpo_params: Annotated[TunedHpoParams | None, Field(alias="tunedHPOParams")] = None


class SolutionVersionDescribed(WireModel):
    """The answer to DescribeSolutionVersion."""

    solution_version: SolutionVersion


class SolutionVersionsListed(WireModel):
    """One page of the answer to ListSolutionVersions."""

    solution_versions: list[VersionSummary]
    next_token: str | None = None


class SolutionMetrics(WireModel):
    """The answer to GetSolutionMetrics."""

    solution_version_arn: str
    metrics: dict[str, float]


async def create(context: OperationContext, request: CreateSolutionVersion) -> SolutionVersionCreated:
    """Train a new version of a solution, with the settings that the solution has now.

    Raise WireError: LimitExceededException if too many trainings are pending, ResourceAlreadyExistsException
    if the name is taken, InvalidInputException for an UPDATE before a first version.
    """
    solution = await context.find(request.solution_arn, state.Solution, lock=True)
    limit = context.settings.max_pending_versions
    await context.check_pending_limit(limit, solution.owner, ResourceType.SOLUTION_VERSION)
    earlier = await context.resources.list_children(state.SolutionVersion, solution.path)
    if request.name and any(version.name == request.name for version in earlier):
        raise already_exists(f"Another solution version with the name {request.name} already exists.")
    if request.training_mode == "UPDATE" and all(version.status != Status.ACTIVE for version in earlier):
        raise invalid_input(
            f"trainingMode UPDATE needs an ACTIVE version of {solution.arn} trained with FULL first."
        )
    version = await enqueue(context, solution, request, "MANUAL")
    return SolutionVersionCreated(solution_version_arn=str(version.arn))


async def enqueue(
    context: OperationContext,
    solution: state.Solution,
    request: CreateSolutionVersion,
    training_type: Literal["MANUAL", "AUTOMATIC"],
) -> state.SolutionVersion:
    """Create a version and queue its training."""
    identifier = secrets.token_hex(4)
    settings = {name: getattr(solution.document, name) for name in state.TrainingSettings.model_fields}
    document = state.SolutionVersionDocument(
        **settings,
        solution_arn=solution.arn,
        training_mode=request.training_mode,
        training_type=training_type,
    )
    facts = state.ModelFacts(
        recipe=solution.facts.recipe, folder=model_prefix(solution.owner, solution.name, identifier)
    )
    new = NewState(
        f"{solution.path}/{identifier}",
        request.name or f"{solution.name}/{identifier}",
        solution.owner,
        document,
        facts,
        parent=solution.path,
        status=Status.PENDING,
    )
    version = await context.create(state.SolutionVersion, new, request)
    await context.enqueue(version)
    return version


async def stop(context: OperationContext, request: SolutionVersionName) -> None:
    """Stop a training: a pending one at once, a running one when its worker next checks.

    Raise WireError (ResourceInUseException) if it has ended.
    """
    version = await context.find(request.solution_version_arn, state.SolutionVersion, lock=True)
    if version.status == Status.STOPPING:
        return
    if not version.is_unfinished:
        raise in_use(f"The training of {version.arn} can't be stopped: it is {version.status}.")
    is_pending = version.status == Status.PENDING
    await context.resources.save(version, status=Status.STOPPED if is_pending else Status.STOPPING)
    await context.resources.discard(version.facts.folder, context.settings.garbage_hours)


async def describe(context: OperationContext, request: SolutionVersionName) -> SolutionVersionDescribed:
    """Describe a solution version."""
    version = await context.find(request.solution_version_arn, state.SolutionVersion)
    view = SolutionVersion.of(version, tunedHPOParams=_tuned_parameters(version))
    return SolutionVersionDescribed(solution_version=view)


def _tuned_parameters(version: state.SolutionVersion) -> TunedHpoParams | None:
    """Return the hyperparameters of an ACTIVE version with performHPO."""
    if version.status != Status.ACTIVE or not version.document.perform_hpo:
        return None
    config = version.document.solution_config
    chosen = (config.algorithm_hyper_parameters if config else None) or {}
    defaults = algorithms.default_hyperparameters(RECIPES[version.facts.recipe])
    return TunedHpoParams(algorithm_hyper_parameters=defaults | chosen)


async def list_page(context: OperationContext, request: ListSolutionVersions) -> SolutionVersionsListed:
    """List solution versions."""
    solution = await context.find_optional(request.solution_arn, state.Solution)
    views, token = await context.list_page(request, state.SolutionVersion, VersionSummary, solution)
    return SolutionVersionsListed(solution_versions=views, next_token=token)


async def get_metrics(context: OperationContext, request: SolutionVersionName) -> SolutionMetrics:
    """Return the offline metrics of an ACTIVE version, rounded to four decimals."""
    version = await context.find(request.solution_version_arn, state.SolutionVersion)
    require_active(version)
    metrics = version.facts.metrics or {}
    return SolutionMetrics(
        solution_version_arn=str(version.arn),
        metrics={name: round(value, 4) for name, value in metrics.items()},
    )
