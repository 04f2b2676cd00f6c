"""The plan: the steps that change the resources of an account into those of a declaration.

A plan deletes nothing, except for a filter that it creates again.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.engine.domain.declaration import Declaration, Group, Recommender
from services.engine.domain.plan_members import contains, describe_changes, recipe_arn, without_none
from services.engine.domain.solution_planning import plan_solutions
from services.engine.domain.steps import (
    PUT_PLACEMENT,
    AccountState,
    ResourceRef,
    Sign,
    Step,
    conflict,
    create_step,
    update_step,
)


def plan(target: Declaration, present: AccountState) -> list[Step]:
    """Return the steps in the order in which they have to be taken, conflicts first."""
    steps = [*_schemas(target, present)]
    for name, group in target.dataset_groups.items():
        steps += _group(name, group, present)
    reasons = {
        name: f"it is there and has failed ({why}); delete it first" for name, why in present.failed.items()
    } | {
        name: f"the dataset group {group} has one of this name, and names are an account's"
        for name, group in _holders(present.declaration).items()
    }
    broken = [
        conflict(step.kind, step.name, why)
        for step in steps
        if step.sign == "create" and (why := reasons.get((step.kind, step.name)))
    ]
    return [*broken, *steps]


def _holders(present: Declaration) -> dict[tuple[str, str], str]:
    """Return the dataset group of each resource, by kind and name, whose name is unique in an account."""
    return {
        (kind, name): group
        for group, members in present.dataset_groups.items()
        for kind, names in (
            ("filter", members.filters),
            ("solution", members.solutions),
            ("campaign", [name for solution in members.solutions.values() for name in solution.campaigns]),
            ("recommender", members.recommenders),
        )
        for name in names
    }


def _schemas(target: Declaration, present: AccountState) -> Iterator[Step]:
    for name, schema in target.schemas.items():
        current = present.declaration.schemas.get(name)
        if current is None:
            arguments = {"name": name, "schema": schema.avro} | without_none(domain=schema.domain)
            yield create_step("schema", name, "create_schema", arguments)
        elif current.avro != schema.avro:
            yield conflict("schema", name, "a schema never changes; give the new one another name")


def _group(name: str, target: Group, present: AccountState) -> Iterator[Step]:
    current = present.declaration.dataset_groups.get(name)
    if current is None:
        yield create_step(
            "dataset group",
            name,
            "create_dataset_group",
            {"name": name} | without_none(domain=target.domain),
        )
        current = Group(domain=target.domain)
    elif target.domain is not None and target.domain != current.domain:
        yield conflict("dataset group", name, f"its domain is {current.domain}, not {target.domain}")
    yield from _datasets(name, target, current)
    yield from _tracker(name, target, current)
    yield from _filters(name, target, current)
    yield from plan_solutions(name, target, present)
    for recommender, declared in target.recommenders.items():
        yield from _recommender(name, recommender, declared, current.recommenders.get(recommender))
    yield from _placements(name, target, current, present)


def _datasets(group: str, target: Group, current: Group) -> Iterator[Step]:
    for kind, dataset in target.datasets.items():
        before = current.datasets.get(kind)
        schema = ResourceRef("schema", dataset.schema_name)
        label = f"{group}/{kind}"
        if before is None:
            arguments = {
                "name": dataset.name,
                "schemaArn": schema,
                "datasetGroupArn": ResourceRef("dataset group", group),
                "datasetType": kind,
            }
            yield create_step("dataset", label, "create_dataset", arguments)
        elif before.name != dataset.name:
            yield conflict("dataset", label, f"its name is {before.name}, not {dataset.name}")
        elif before.schema_name != dataset.schema_name:
            arguments = {"datasetArn": ResourceRef("dataset", label), "schemaArn": schema}
            why = f"schema {before.schema_name} → {dataset.schema_name}"
            yield update_step("dataset", label, why, ("update_dataset", arguments))


def _tracker(group: str, target: Group, current: Group) -> Iterator[Step]:
    name = target.event_tracker
    if name is None or name == current.event_tracker:
        return
    if current.event_tracker is not None:
        why = f"the group has the event tracker {current.event_tracker}, and can have one only"
        yield conflict("event tracker", name, why)
        return
    arguments = {"name": name, "datasetGroupArn": ResourceRef("dataset group", group)}
    yield create_step("event tracker", name, "create_event_tracker", arguments)


def _filters(group: str, target: Group, current: Group) -> Iterator[Step]:
    for name, expression in target.filters.items():
        arguments = {
            "name": name,
            "datasetGroupArn": ResourceRef("dataset group", group),
            "filterExpression": expression.strip(),
        }
        before = current.filters.get(name)
        if before is None:
            yield create_step("filter", name, "create_filter", arguments)
        elif before.strip() != expression.strip():
            # There is no UpdateFilter; the ARN stays the same.
            delete = ("delete_filter", {"filterArn": ResourceRef("filter", name)})
            why = "deleted and made again; requests that name it fail in between"
            calls = (delete, ("create_filter", arguments))
            yield Step("replace", "filter", name, why, calls, ResourceRef("filter", name))


def _recommender(group: str, name: str, target: Recommender, current: Recommender | None) -> Iterator[Step]:
    config = without_none(recommenderConfig=target.recommender_config)
    if current is None:
        arguments = {
            "name": name,
            "datasetGroupArn": ResourceRef("dataset group", group),
            "recipeArn": recipe_arn(target.recipe),
        } | config
        yield create_step("recommender", name, "create_recommender", arguments)
    elif recipe_arn(target.recipe) != recipe_arn(current.recipe):
        yield conflict("recommender", name, f"its recipe is {current.recipe}, not {target.recipe}")
    elif config and not contains(current.recommender_config, target.recommender_config):
        call = ("update_recommender", {"recommenderArn": ResourceRef("recommender", name)} | config)
        yield update_step("recommender", name, describe_changes(config), call)


def _placements(group: str, target: Group, current: Group, present: AccountState) -> Iterator[Step]:
    for name, definition in target.placements.items():
        before = current.placements.get(name)
        if before == definition:
            continue
        label = f"{group}/{name}"
        if not present.has_placements:
            yield conflict("placement", label, "the service of this endpoint has no placements")
            continue
        call = (PUT_PLACEMENT, {"group": group, "name": name, "definition": definition})
        sign: Sign = "create" if before is None else "update"
        yield Step(sign, "placement", label, "" if before is None else "another definition", (call,))
