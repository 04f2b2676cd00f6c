"""UpdateSolution: changes of automatic training and of the events that later versions are trained on."""

from __future__ import annotations

from typing import Any

from services.engine.domain import state
from services.engine.domain.solution_config import SolutionConfig, SolutionUpdateConfig
from services.engine.personalize.context import OperationContext
from services.engine.personalize.members import ArnText, WireModel, described_members
from services.engine.personalize.solutions import SolutionCreated, check_incremental, check_schedule
from services.engine.training.recipes import RECIPES
from shared.aws import invalid_input

_SWITCHES = frozenset({"perform_auto_training", "perform_incremental_update"})


class UpdateSolution(WireModel):
    """The request of UpdateSolution; members that are absent stay as they are."""

    solution_arn: ArnText
    perform_auto_training: bool | None = None
    perform_incremental_update: bool | None = None
    solution_update_config: SolutionUpdateConfig | None = None


async def update(context: OperationContext, request: UpdateSolution) -> SolutionCreated:
    """Change a solution; its existing versions keep the settings that they were made with.

    Raise WireError (InvalidInputException) if nothing is to change, or a setting is not allowed.
    """
    if not described_members(request, "solution_arn"):
        raise invalid_input(
            "Nothing to update: give performAutoTraining, performIncrementalUpdate or solutionUpdateConfig."
        )
    changes = request.solution_update_config or SolutionUpdateConfig()
    check_schedule(changes.auto_training_config)
    solution = await context.find(request.solution_arn, state.Solution, lock=True)
    check_incremental(RECIPES[solution.facts.recipe], perform=request.perform_incremental_update)
    old = solution.document
    document = old.model_copy(
        update={
            "solution_config": (old.solution_config or SolutionConfig()).model_copy(update=_present(changes)),
            "latest_solution_update": state.SolutionUpdate(**_present(request)),
            **{name: value for name, value in _present(request).items() if name in _SWITCHES},
        }
    )
    await context.resources.save(solution, document=document)
    return SolutionCreated(solution_arn=str(solution.arn))


def _present(model: WireModel) -> dict[str, Any]:
    """Return the members that are not None."""
    return {name: value for name, value in model if value is not None}
