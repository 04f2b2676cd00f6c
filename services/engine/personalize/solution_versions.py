"""Solution versions: trained models, and their offline metrics."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from pydantic import Field

from services.engine.domain.locations import model_prefix
from services.engine.domain.resources import UNFINISHED, NewResource, Resource, Status, Type
from services.engine.personalize import algorithms
from services.engine.personalize.context import OperationContext, in_use, require_active
from services.engine.personalize.members import ArnText, Page, ResourceName, Tagged, WireModel
from services.engine.personalize.solutions import VersionSummary
from services.engine.recipes import RECIPES
from shared.aws import WireError, invalid_input


class CreateSolutionVersion(Tagged):
    """Train a solution."""

    name: ResourceName | None = None
    solution_arn: ArnText
    training_mode: Literal["FULL", "UPDATE", "AUTOTRAIN"] = "FULL"


class SolutionVersionCreated(WireModel):
    """Where it is."""

    solution_version_arn: str


class SolutionVersionName(WireModel):
    """Which version."""

    solution_version_arn: ArnText


class ListSolutionVersions(Page):
    """The versions of a solution, or of all."""

    solution_arn: ArnText | None = None


class TunedHpoParams(WireModel):
    """The hyperparameters that a version was made with."""

    algorithm_hyper_parameters: dict[str, str]


class SolutionVersion(VersionSummary):
    """A version."""

    name: str
    solution_arn: str
    dataset_group_arn: str
    recipe_arn: str
    perform_hpo: Annotated[bool, Field(alias="performHPO")] = False
    perform_auto_ml: Annotated[bool, Field(alias="performAutoML")] = False
    perform_incremental_update: bool | None = None
    event_type: str | None = None
    solution_config: dict[str, Any] | None = None
    training_hours: float | None = None
    tuned_hpo_params: Annotated[TunedHpoParams | None, Field(alias="tunedHPOParams")] = None


class SolutionVersionDescribed(WireModel):
    """The answer to Describe."""

    solution_version: SolutionVersion


class SolutionVersionsListed(WireModel):
    """One page."""

    solution_versions: list[VersionSummary]
    next_token: str | None = None


class SolutionMetrics(WireModel):
    """What a version reached offline, rounded to four decimals."""

    solution_version_arn: str
    metrics: dict[str, float]


_FROM_SOLUTION = (
    "performHPO",
    "performAutoML",
    "performIncrementalUpdate",
    "eventType",
    "solutionConfig",
    "recipeArn",
    "datasetGroupArn",
)


async def create(context: OperationContext, request: CreateSolutionVersion) -> SolutionVersionCreated:
    """Queue a training with the solution's settings of now."""
    solution = await context.find(request.solution_arn, Type.SOLUTION, lock=True)
    limit = context.settings.max_pending_versions
    await context.check_pending_limit(limit, solution.owner, Type.SOLUTION_VERSION)
    earlier = await context.resources.children(solution.path, Type.SOLUTION_VERSION)
    if request.name and any(version.name == request.name for version in earlier):
        message = f"Another solution version with the name {request.name} already exists."
        raise WireError("ResourceAlreadyExistsException", message)
    if request.training_mode == "UPDATE" and all(each.status != Status.ACTIVE for each in earlier):
        raise invalid_input(
            f"trainingMode UPDATE needs an ACTIVE version of {solution.arn} trained with FULL first."
        )
    version = await enqueue(context, solution, request, "MANUAL")
    return SolutionVersionCreated(solution_version_arn=version.arn)


async def enqueue(
    context: OperationContext,
    solution: Resource,
    request: CreateSolutionVersion,
    training_type: Literal["MANUAL", "AUTOMATIC"],
) -> Resource:
    """A version that waits to be trained, with the solution's settings of now."""
    identifier = secrets.token_hex(4)
    document = {name: solution.document[name] for name in _FROM_SOLUTION if name in solution.document}
    version = await context.create(
        NewResource(
            Type.SOLUTION_VERSION,
            f"{solution.path}/{identifier}",
            request.name or f"{solution.name}/{identifier}",
            solution.owner,
            document
            | {
                "solutionArn": solution.arn,
                "trainingMode": request.training_mode,
                "trainingType": training_type,
            },
            parent=solution.path,
            status=Status.PENDING,
            facts={
                "recipe": solution.facts["recipe"],
                "folder": model_prefix(solution.owner, solution.name, identifier),
            },
        ),
        request,
    )
    await context.enqueue(version)
    return version


async def stop(context: OperationContext, request: SolutionVersionName) -> None:
    """Stop a training: at once while it waits, and as soon as its worker looks when it runs."""
    version = await context.find(request.solution_version_arn, Type.SOLUTION_VERSION, lock=True)
    if version.status == Status.STOPPING:
        return
    if version.status not in UNFINISHED:
        raise in_use(f"The training of {version.arn} can't be stopped: it is {version.status}.")
    waits = version.status == Status.PENDING
    await context.resources.update(version, status=Status.STOPPED if waits else Status.STOPPING)
    await context.resources.discard(version.facts["folder"], context.settings.garbage_hours)


async def describe(context: OperationContext, request: SolutionVersionName) -> SolutionVersionDescribed:
    """Show a version."""
    version = await context.find(request.solution_version_arn, Type.SOLUTION_VERSION)
    return SolutionVersionDescribed(
        solution_version=SolutionVersion.of(version, tunedHPOParams=_tuned_parameters(version))
    )


def _tuned_parameters(version: Resource) -> TunedHpoParams | None:
    """What an ACTIVE version was made with, for who asked for a search."""
    if version.status != Status.ACTIVE or not version.document.get("performHPO"):
        return None
    given = version.document.get("solutionConfig", {}).get("algorithmHyperParameters", {})
    defaults = algorithms.default_hyperparameters(RECIPES[version.facts["recipe"]])
    return TunedHpoParams(algorithm_hyper_parameters=defaults | given)


async def list_page(context: OperationContext, request: ListSolutionVersions) -> SolutionVersionsListed:
    """List versions."""
    solution = await context.find(request.solution_arn, Type.SOLUTION) if request.solution_arn else None
    shown, token = await context.list_page(request, Type.SOLUTION_VERSION, VersionSummary, solution)
    return SolutionVersionsListed(solution_versions=shown, next_token=token)


async def get_metrics(context: OperationContext, request: SolutionVersionName) -> SolutionMetrics:
    """The metrics of an ACTIVE version."""
    version = await context.find(request.solution_version_arn, Type.SOLUTION_VERSION)
    require_active(version)
    return SolutionMetrics(
        solution_version_arn=version.arn,
        metrics={name: round(value, 4) for name, value in version.facts["metrics"].items()},
    )
