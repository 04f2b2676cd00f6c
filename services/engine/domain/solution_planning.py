"""The steps that change the solutions of a dataset group, and their campaigns, into declared ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from services.engine.domain.declaration import Campaign, Group, Solution
from services.engine.domain.plan_members import contains, describe_changes, recipe_arn, without_none
from services.engine.domain.steps import (
    AccountState,
    ResourceRef,
    Step,
    conflict,
    create_step,
    update_step,
)

LATEST = "/$LATEST"
_UPDATABLE = ("autoTrainingConfig", "eventsConfig")
"""The members of a solutionConfig that UpdateSolution changes. The others never change."""


def plan_solutions(name: str, target: Group, present: AccountState) -> Iterator[Step]:
    """Yield the steps for the solutions and campaigns of a dataset group."""
    current = present.declaration.dataset_groups.get(name) or Group()
    deployed = {
        campaign: declared
        for solution in current.solutions.values()
        for campaign, declared in solution.campaigns.items()
    }
    for solution, declared in target.solutions.items():
        before = current.solutions.get(solution)
        yield from _create_or_update(name, solution, declared, before)
        campaigns = before.campaigns if before else {}
        new = [campaign for campaign in declared.campaigns if campaign not in campaigns]
        if new and solution not in present.trained:
            yield _training(solution, new)
        for campaign, declared_campaign in declared.campaigns.items():
            moves = campaign not in campaigns
            yield from _campaign(solution, campaign, declared_campaign, deployed.get(campaign), moves=moves)


def _create_or_update(group: str, name: str, target: Solution, current: Solution | None) -> Iterator[Step]:
    if current is not None:
        yield from _conflicts(name, target, current)
        yield from _update(name, target, current)
        return
    arguments = {
        "name": name,
        "datasetGroupArn": ResourceRef("dataset group", group),
        "recipeArn": recipe_arn(target.recipe),
    } | without_none(
        eventType=target.event_type,
        performAutoTraining=target.perform_auto_training,
        performIncrementalUpdate=target.perform_incremental_update,
        solutionConfig=target.solution_config,
    )
    yield create_step("solution", name, "create_solution", arguments)


def _training(solution: str, campaigns: list[str]) -> Step:
    return Step(
        "train",
        "solution",
        solution,
        f"its first version, which {', '.join(campaigns)} will serve",
        (("create_solution_version", {"solutionArn": ResourceRef("solution", solution)}),),
        ResourceRef("solution version", solution),
    )


def _conflicts(name: str, target: Solution, current: Solution) -> Iterator[Step]:
    members = {
        "recipe": (recipe_arn(target.recipe), recipe_arn(current.recipe)),
        "eventType": (target.event_type, current.event_type),
        "solutionConfig": (_without_updatable(target), _without_updatable(current)),
    }
    for member, (declared, present) in members.items():
        if declared is not None and not contains(present, declared):
            why = (
                f"its {member} is {present}, not {declared}, and never changes; give the new one another name"
            )
            yield conflict("solution", name, why)


def _without_updatable(solution: Solution) -> dict[str, Any] | None:
    config = solution.solution_config
    if config is None:
        return None
    return {member: value for member, value in config.items() if member not in _UPDATABLE}


def _update(name: str, target: Solution, current: Solution) -> Iterator[Step]:
    switches = {
        "performAutoTraining": (target.perform_auto_training, current.perform_auto_training),
        "performIncrementalUpdate": (target.perform_incremental_update, current.perform_incremental_update),
    }
    changes: dict[str, Any] = {
        member: declared
        for member, (declared, present) in switches.items()
        if declared is not None and declared != bool(present)
    }
    config, present_config = target.solution_config or {}, current.solution_config or {}
    settings = {
        member: config[member]
        for member in _UPDATABLE
        if member in config and not contains(present_config.get(member), config[member])
    }
    if settings:
        changes["solutionUpdateConfig"] = settings
    if changes:
        call = ("update_solution", {"solutionArn": ResourceRef("solution", name)} | changes)
        yield update_step("solution", name, describe_changes(changes), call)


def _campaign(
    solution: str, name: str, target: Campaign, current: Campaign | None, *, moves: bool
) -> Iterator[Step]:
    declared = without_none(
        minProvisionedTPS=target.min_provisioned_tps, campaignConfig=target.campaign_config
    )
    latest = {"solutionVersionArn": ResourceRef("solution", solution, LATEST)}
    if current is None:
        yield create_step("campaign", name, "create_campaign", {"name": name} | latest | declared)
        return
    present = {
        "minProvisionedTPS": current.min_provisioned_tps,
        "campaignConfig": current.campaign_config or {},
    }
    changes = {member: value for member, value in declared.items() if not contains(present[member], value)}
    if changes or moves:
        arguments = _campaign_arguments(name, changes, current.campaign_config or {})
        config = arguments.get("campaignConfig", {})
        # A campaign follows its solution only if it is updated with $LATEST.
        follows = "campaignConfig" in changes and config.get("syncWithLatestSolutionVersion")
        call = ("update_campaign", arguments | (latest if moves or follows else {}))
        why = describe_changes(({"solution": solution} if moves else {}) | changes)
        yield update_step("campaign", name, why, call)


def _campaign_arguments(
    name: str, changes: Mapping[str, Any], present_config: Mapping[str, Any]
) -> dict[str, Any]:
    arguments: dict[str, Any] = {"campaignArn": ResourceRef("campaign", name), **changes}
    if "campaignConfig" in changes:
        # An update replaces the entire configuration.
        arguments["campaignConfig"] = {**present_config, **changes["campaignConfig"]}
    return arguments
