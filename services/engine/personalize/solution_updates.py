"""UpdateSolution: when versions are made by themselves, and what events count from the next one on."""

from __future__ import annotations

from services.engine.domain.resources import Type
from services.engine.personalize.context import OperationContext
from services.engine.personalize.members import ArnText, Update, WireModel, active_update, document
from services.engine.personalize.solutions import (
    AutoTrainingConfig,
    EventsConfig,
    SolutionCreated,
    check_incremental,
    check_schedule,
)
from services.engine.recipes import RECIPES
from shared.aws import invalid_input


class SolutionUpdateConfig(WireModel):
    """The settings of a solution that may change."""

    auto_training_config: AutoTrainingConfig | None = None
    events_config: EventsConfig | None = None


class UpdateSolution(WireModel):
    """What is to change; the rest stays."""

    solution_arn: ArnText
    perform_auto_training: bool | None = None
    perform_incremental_update: bool | None = None
    solution_update_config: SolutionUpdateConfig | None = None


class SolutionUpdate(Update):
    """The newest update of a solution."""

    solution_update_config: SolutionUpdateConfig | None = None
    perform_auto_training: bool | None = None
    perform_incremental_update: bool | None = None


async def update(context: OperationContext, request: UpdateSolution) -> SolutionCreated:
    """Change a solution; the versions that it has keep the settings they were made with."""
    asked = document(request, "solution_arn")
    if not asked:
        raise invalid_input(
            "Nothing to update: give performAutoTraining, performIncrementalUpdate or solutionUpdateConfig."
        )
    config = request.solution_update_config
    check_schedule(config.auto_training_config if config else None)
    solution = await context.find(request.solution_arn, Type.SOLUTION, lock=True)
    check_incremental(RECIPES[solution.facts["recipe"]], perform=request.perform_incremental_update)
    before = solution.document.get("solutionConfig", {})
    settings = {name: value for name, value in asked.items() if name != "solutionUpdateConfig"}
    changed = {"solutionConfig": before | asked.get("solutionUpdateConfig", {})} | settings
    latest = {"latestSolutionUpdate": active_update(**asked)}
    updated = await context.resources.update(solution, document=changed | latest)
    return SolutionCreated(solution_arn=updated.arn)
