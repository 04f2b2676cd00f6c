"""What a solution's configuration may say, before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from services.engine.domain.schemas import REQUIRED, Schema
from services.engine.recipes.recipe import Allowed, Interval, Recipe, shapes_data
from shared.errors import Permanent

NUMERIC = frozenset({"int", "long", "float", "double"})


def check(recipe: Recipe, config: Mapping[str, Any]) -> None:
    """Refuse what the recipe does not know; Permanent says which member is wrong, and what is right."""
    hyperparameters = config.get("algorithmHyperParameters") or {}
    transformations = config.get("featureTransformationParameters") or {}
    shaping = {name: value for name, value in transformations.items() if name in _shaping(recipe)}
    _check_hyperparameters(recipe, shaping | hyperparameters)
    _check_transformations(recipe, transformations)
    _check_percentiles(shaping | hyperparameters)
    threshold = config.get("eventValueThreshold")
    if threshold is not None and _number(threshold) is None:
        raise Permanent(f"solutionConfig.eventValueThreshold {threshold!r} is not a number.")
    if (config.get("optimizationObjective") or {}).get("itemAttribute") and not recipe.objective:
        raise Permanent(f"The recipe {recipe.name} has no optimizationObjective.")
    _check_events(config)


def check_columns(config: Mapping[str, Any], schemas: Mapping[str, Schema]) -> None:
    """Refuse columns that the group's datasets have not, or that can't be meant; Permanent says which.

    `schemas` are those of the datasets that the group has, by their upper-case type.
    """
    chosen = config.get("trainingDataConfig") or {}
    for member in ("excludedDatasetColumns", "includedDatasetColumns"):
        for dataset, columns in (chosen.get(member) or {}).items():
            _check_choice(f"trainingDataConfig.{member}", dataset, columns, schemas)
    attribute = (config.get("optimizationObjective") or {}).get("itemAttribute")
    if attribute:
        _check_attribute(attribute, schemas.get("ITEMS"))


def _check_choice(member: str, dataset: str, columns: Sequence[str], schemas: Mapping[str, Schema]) -> None:
    kind = dataset.upper()
    schema = schemas.get(kind)
    if schema is None:
        present = ", ".join(sorted(schemas)) or "none"
        raise Permanent(f"{member}: the dataset group has no {kind} dataset; it has: {present}.")
    known = {name.upper() for name in schema.names}
    missing = [column for column in columns if column.upper() not in known]
    if missing:
        raise Permanent(f"{member}: the {kind} dataset has no columns {missing}.")
    needed = sorted({column.upper() for column in columns} & REQUIRED.get(kind, {}).keys())
    if needed and member.endswith("excludedDatasetColumns"):
        raise Permanent(f"{member}: the {kind} dataset can't do without {needed}.")


def _check_attribute(name: str, schema: Schema | None) -> None:
    where = "optimizationObjective.itemAttribute"
    if schema is None:
        raise Permanent(f"{where} {name} needs an Items dataset, which the dataset group has not.")
    columns = {column.name.upper(): column for column in schema.columns}
    column = columns.get(name.upper())
    if column is None:
        raise Permanent(f"{where}: the Items dataset has no column {name}.")
    if column.type not in NUMERIC:
        kind = "textual" if column.textual else column.type
        raise Permanent(f"{where}: the column {name} is {kind}; an objective needs a numeric one.")
    if column.nullable:
        raise Permanent(f"{where}: the column {name} may be null; an objective needs one that may not.")


def known(recipe: Recipe) -> dict[str, Allowed | None]:
    """Every hyperparameter that the recipe takes, and what it may be; None for any text."""
    own = {name: recipe.allowed.get(name) for name in recipe.hyperparameters}
    return own | dict(recipe.without_effect)


def _shaping(recipe: Recipe) -> list[str]:
    """The hyperparameters that may be among featureTransformationParameters."""
    return sorted(filter(shapes_data, known(recipe)))


def _check_hyperparameters(recipe: Recipe, given: Mapping[str, str]) -> None:
    taken = known(recipe)
    for name, value in given.items():
        if name not in taken:
            names = ", ".join(sorted(taken)) or "none"
            raise Permanent(f"The recipe {recipe.name} has no hyperparameter {name}; it has: {names}.")
        allowed = taken[name]
        if allowed is not None and not _fits(value, allowed):
            raise Permanent(f"The hyperparameter {name} must be {_said(allowed)}, not {value!r}.")


def _check_percentiles(given: Mapping[str, str]) -> None:
    """A pair of percentiles must leave something between them."""
    for what in ("user_history_length", "item_interaction_count"):
        low, high = (_number(given.get(f"{end}_{what}_percentile", "")) for end in ("min", "max"))
        if low is not None and high is not None and low >= high:
            raise Permanent(
                f"min_{what}_percentile {low} must be below max_{what}_percentile {high}: "
                "nothing lies between them."
            )


def _check_transformations(recipe: Recipe, given: Mapping[str, str]) -> None:
    shaping = _shaping(recipe)
    for name, value in given.items():
        allowed = recipe.transformations.get(name)
        if allowed is None and name not in shaping:
            names = ", ".join([*recipe.transformations, *shaping]) or "none"
            raise Permanent(
                f"The recipe {recipe.name} has no feature transformation {name}; it has: {names}."
            )
        if allowed is not None and value not in allowed:
            raise Permanent(f"The feature transformation {name} must be {_said(allowed)}, not {value!r}.")


def _check_events(config: Mapping[str, Any]) -> None:
    parameters = (config.get("eventsConfig") or {}).get("eventParametersList") or []
    unnamed = [place for place, entry in enumerate(parameters) if not entry.get("eventType")]
    if unnamed:
        raise Permanent(f"eventsConfig.eventParametersList: entry {unnamed[0]} names no eventType.")
    if parameters and all(entry.get("weight") == 0 for entry in parameters):
        raise Permanent("eventsConfig.eventParametersList: every weight is 0, so no event would count.")


def _fits(value: str, allowed: Allowed) -> bool:
    if not isinstance(allowed, Interval):
        return value.lower() in allowed
    number = _number(value)
    if number is None or not allowed.low <= number <= allowed.high:
        return False
    return number.is_integer() or not allowed.whole


def _said(allowed: Allowed) -> str:
    if not isinstance(allowed, Interval):
        return f"one of {', '.join(allowed)}"
    kind = "a whole number" if allowed.whole else "a number"
    return f"{kind} from {allowed.low:g} to {allowed.high:g}"


def _number(text: Any) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
