"""The way from what an account holds to what a declaration asks for. Nothing is ever deleted for good."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from services.engine.domain.declaration import Campaign, Declaration, Group, Recommender, Solution
from services.engine.domain.steps import AccountState, ResourceRef, Step

RECIPE_PREFIX = "arn:aws:personalize:::recipe/"
LATEST = "/$LATEST"
_UPDATED = ("autoTrainingConfig", "eventsConfig")
"""The settings of a solution that UpdateSolution changes; others never change."""


def plan(wanted: Declaration, present: AccountState) -> list[Step]:
    """The steps in the order in which they have to be taken; none when all is as it is asked for."""
    steps = [*_schemas(wanted, present)]
    for name, group in wanted.dataset_groups.items():
        steps += _group(name, group, present)
    reasons = {
        name: f"it is there and has failed ({why}); delete it first" for name, why in present.failed.items()
    } | {
        name: f"the dataset group {group} has one of this name, and names are an account's"
        for name, group in _holders(present.declaration).items()
    }
    broken = [
        Step("conflict", step.kind, step.name, why)
        for step in steps
        if step.sign == "create" and (why := reasons.get((step.kind, step.name)))
    ]
    return [*broken, *steps]


def _holders(present: Declaration) -> dict[tuple[str, str], str]:
    """The group that has a resource, by its kind and name: of those that are unique in an account."""
    return {
        (kind, name): group
        for group, held in present.dataset_groups.items()
        for kind, names in (
            ("filter", held.filters),
            ("solution", held.solutions),
            ("campaign", [name for solution in held.solutions.values() for name in solution.campaigns]),
            ("recommender", held.recommenders),
        )
        for name in names
    }


def _schemas(wanted: Declaration, present: AccountState) -> Iterator[Step]:
    for name, schema in wanted.schemas.items():
        there = present.declaration.schemas.get(name)
        if there is None:
            given = {"name": name, "schema": schema.avro} | _given(domain=schema.domain)
            yield _create("schema", name, "create_schema", given)
        elif there.avro != schema.avro:
            yield Step("conflict", "schema", name, "a schema never changes; give the new one another name")


def _group(name: str, wanted: Group, present: AccountState) -> Iterator[Step]:
    there = present.declaration.dataset_groups.get(name)
    if there is None:
        yield _create(
            "dataset group",
            name,
            "create_dataset_group",
            {"name": name} | _given(domain=wanted.domain),
        )
        there = Group(domain=wanted.domain)
    elif wanted.domain is not None and wanted.domain != there.domain:
        yield Step("conflict", "dataset group", name, f"its domain is {there.domain}, not {wanted.domain}")
    yield from _datasets(name, wanted, there)
    yield from _tracker(name, wanted, there)
    yield from _filters(name, wanted, there)
    for solution, described in wanted.solutions.items():
        yield from _solution(name, solution, described, there.solutions.get(solution), present)
    for recommender, described_one in wanted.recommenders.items():
        yield from _recommender(name, recommender, described_one, there.recommenders.get(recommender))


def _datasets(group: str, wanted: Group, there: Group) -> Iterator[Step]:
    for kind, dataset in wanted.datasets.items():
        known = there.datasets.get(kind)
        schema = ResourceRef("schema", dataset.schema_name)
        label = f"{group}/{kind}"
        if known is None:
            given = {
                "name": dataset.name,
                "schemaArn": schema,
                "datasetGroupArn": ResourceRef("dataset group", group),
                "datasetType": kind,
            }
            yield _create("dataset", label, "create_dataset", given)
        elif known.name != dataset.name:
            yield Step("conflict", "dataset", label, f"its name is {known.name}, not {dataset.name}")
        elif known.schema_name != dataset.schema_name:
            given = {"datasetArn": ResourceRef("dataset", label), "schemaArn": schema}
            why = f"schema {known.schema_name} → {dataset.schema_name}"
            yield Step(
                "update", "dataset", label, why, (("update_dataset", given),), ResourceRef("dataset", label)
            )


def _tracker(group: str, wanted: Group, there: Group) -> Iterator[Step]:
    name = wanted.event_tracker
    if name is None or name == there.event_tracker:
        return
    if there.event_tracker is not None:
        why = f"the group has the event tracker {there.event_tracker}, and can have one only"
        yield Step("conflict", "event tracker", name, why)
        return
    given = {"name": name, "datasetGroupArn": ResourceRef("dataset group", group)}
    yield _create("event tracker", name, "create_event_tracker", given)


def _filters(group: str, wanted: Group, there: Group) -> Iterator[Step]:
    for name, expression in wanted.filters.items():
        given = {
            "name": name,
            "datasetGroupArn": ResourceRef("dataset group", group),
            "filterExpression": expression.strip(),
        }
        known = there.filters.get(name)
        if known is None:
            yield _create("filter", name, "create_filter", given)
        elif known.strip() != expression.strip():
            # There is no UpdateFilter; the ARN stays the same.
            delete = ("delete_filter", {"filterArn": ResourceRef("filter", name)})
            why = "deleted and made again; requests that name it fail in between"
            calls = (delete, ("create_filter", given))
            yield Step("replace", "filter", name, why, calls, ResourceRef("filter", name))


def _solution(
    group: str, name: str, wanted: Solution, there: Solution | None, present: AccountState
) -> Iterator[Step]:
    if there is None:
        given = {
            "name": name,
            "datasetGroupArn": ResourceRef("dataset group", group),
            "recipeArn": _recipe(wanted.recipe),
        } | _given(
            eventType=wanted.event_type,
            performAutoTraining=wanted.perform_auto_training,
            performIncrementalUpdate=wanted.perform_incremental_update,
            solutionConfig=wanted.solution_config,
        )
        yield _create("solution", name, "create_solution", given)
        there = Solution(recipe=wanted.recipe)
    else:
        yield from _changed_solution(name, wanted, there)
    missing = [campaign for campaign in wanted.campaigns if campaign not in there.campaigns]
    if missing and name not in present.trained:
        given = {"solutionArn": ResourceRef("solution", name)}
        yield Step(
            "train",
            "solution",
            name,
            f"its first version, which {', '.join(missing)} will serve",
            (("create_solution_version", given),),
            ResourceRef("solution version", name),
        )
    deployed = {
        campaign: described
        for solution in _there(group, present).solutions.values()
        for campaign, described in solution.campaigns.items()
    }
    for campaign, described in wanted.campaigns.items():
        moves = campaign not in there.campaigns
        yield from _campaign(name, campaign, described, deployed.get(campaign), moves=moves)


def _there(group: str, present: AccountState) -> Group:
    return present.declaration.dataset_groups.get(group) or Group()


def _changed_solution(name: str, wanted: Solution, there: Solution) -> Iterator[Step]:
    fixed = {
        "recipe": (_recipe(wanted.recipe), _recipe(there.recipe)),
        "eventType": (wanted.event_type, there.event_type),
        "solutionConfig": (_fixed(wanted.solution_config), _fixed(there.solution_config)),
    }
    for member, (asked, known) in fixed.items():
        if asked is not None and not _covered(asked, known):
            why = f"its {member} is {known}, not {asked}, and never changes; give the new one another name"
            yield Step("conflict", "solution", name, why)
    given: dict[str, Any] = {}
    switches = {
        "performAutoTraining": (wanted.perform_auto_training, there.perform_auto_training),
        "performIncrementalUpdate": (wanted.perform_incremental_update, there.perform_incremental_update),
    }
    for member, (switch, known_switch) in switches.items():
        if switch is not None and switch != bool(known_switch):
            given[member] = switch
    asked_config, known_config = wanted.solution_config or {}, there.solution_config or {}
    settings = {
        member: asked_config[member]
        for member in _UPDATED
        if member in asked_config and not _covered(asked_config[member], known_config.get(member))
    }
    if settings:
        given["solutionUpdateConfig"] = settings
    if given:
        call = ("update_solution", {"solutionArn": ResourceRef("solution", name)} | given)
        yield Step("update", "solution", name, _listed(given), (call,), ResourceRef("solution", name))


def _campaign(
    solution: str, name: str, wanted: Campaign, there: Campaign | None, *, moves: bool
) -> Iterator[Step]:
    asked = _given(
        minProvisionedTPS=wanted.min_provisioned_tps,
        campaignConfig=wanted.campaign_config,
    )
    if there is None:
        made = {"name": name, "solutionVersionArn": ResourceRef("solution", solution, LATEST)} | asked
        yield _create("campaign", name, "create_campaign", made)
        return
    known = {"minProvisionedTPS": there.min_provisioned_tps, "campaignConfig": there.campaign_config or {}}
    changed = {member: value for member, value in asked.items() if not _covered(value, known[member])}
    if changed or moves:
        given: dict[str, Any] = {"campaignArn": ResourceRef("campaign", name)} | changed
        latest = {"solutionVersionArn": ResourceRef("solution", solution, LATEST)} if moves else {}
        if "campaignConfig" in changed:
            # An update replaces the whole configuration, and a campaign follows its solution by $LATEST.
            given["campaignConfig"] = {**(there.campaign_config or {}), **(wanted.campaign_config or {})}
            if given["campaignConfig"].get("syncWithLatestSolutionVersion"):
                latest = {"solutionVersionArn": ResourceRef("solution", solution, LATEST)}
        call = ("update_campaign", given | latest)
        why = _listed(({"solution": solution} if moves else {}) | changed)
        yield Step("update", "campaign", name, why, (call,), ResourceRef("campaign", name))


def _recommender(group: str, name: str, wanted: Recommender, there: Recommender | None) -> Iterator[Step]:
    config = _given(recommenderConfig=wanted.recommender_config)
    if there is None:
        given = {
            "name": name,
            "datasetGroupArn": ResourceRef("dataset group", group),
            "recipeArn": _recipe(wanted.recipe),
        } | config
        yield _create("recommender", name, "create_recommender", given)
    elif _recipe(wanted.recipe) != _recipe(there.recipe):
        yield Step("conflict", "recommender", name, f"its recipe is {there.recipe}, not {wanted.recipe}")
    elif config and not _covered(wanted.recommender_config, there.recommender_config):
        call = ("update_recommender", {"recommenderArn": ResourceRef("recommender", name)} | config)
        yield Step("update", "recommender", name, _listed(config), (call,), ResourceRef("recommender", name))


def _create(kind: str, name: str, operation: str, given: Mapping[str, Any]) -> Step:
    return Step("create", kind, name, "", ((operation, given),), ResourceRef(kind, name))


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _listed(members: Mapping[str, Any]) -> str:
    return ", ".join(f"{member} → {value}" for member, value in members.items())


def _recipe(recipe: str) -> str:
    """A recipe by its ARN; a file may give its name alone."""
    return recipe if recipe.startswith("arn:") else RECIPE_PREFIX + recipe


def _covered(asked: Any, known: Any) -> bool:
    """Whether what is there has all that is asked for; members that nobody asked for may be there too."""
    if isinstance(asked, Mapping):
        there = known if isinstance(known, Mapping) else {}
        return all(_covered(value, there.get(name)) for name, value in asked.items())
    return bool(asked == known)


def _fixed(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A solution's settings without those that UpdateSolution changes."""
    if config is None:
        return None
    return {name: value for name, value in config.items() if name not in _UPDATED}
