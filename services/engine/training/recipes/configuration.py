"""Checks a solution's configuration before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from services.engine.domain.schemas import REQUIRED, Schema
from services.engine.domain.solution_config import TrainingConfig, TrainingDataConfig
from services.engine.training.recipes.recipe import Allowed, Interval, Recipe, shapes_data
from shared.errors import Permanent

NUMERIC = frozenset({"int", "long", "float", "double"})
"""Avro types of numeric columns."""


def check(recipe: Recipe, config: TrainingConfig) -> None:
    """Raise Permanent for what the recipe does not accept; it names the member and the accepted values."""
    hyperparameters = config.algorithm_hyper_parameters or {}
    transformations = config.feature_transformation_parameters or {}
    shaping = {name: value for name, value in transformations.items() if name in _shaping(recipe)}
    _check_hyperparameters(recipe, shaping | hyperparameters)
    _check_transformations(recipe, transformations)
    _check_percentiles(shaping | hyperparameters)
    threshold = config.event_value_threshold
    if threshold is not None and _number(threshold) is None:
        raise Permanent(f"solutionConfig.eventValueThreshold {threshold!r} is not a number.")
    if config.objective_attribute and not recipe.objective:
        raise Permanent(f"The recipe {recipe.name} has no optimizationObjective.")
    _check_events(config)


def check_columns(config: TrainingConfig, schemas: Mapping[str, Schema]) -> None:
    """Raise Permanent for columns that the group's datasets do not have, or that training needs.

    `schemas` are those of the group's datasets, by their upper-case type.
    """
    training_data = config.training_data_config or TrainingDataConfig()
    choices = {
        "excludedDatasetColumns": training_data.excluded_dataset_columns,
        "includedDatasetColumns": training_data.included_dataset_columns,
    }
    for member, chosen in choices.items():
        for dataset, columns in (chosen or {}).items():
            _check_choice(f"trainingDataConfig.{member}", dataset, columns, schemas)
    if config.objective_attribute:
        _check_attribute(config.objective_attribute, schemas.get("ITEMS"))


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


def accepted_hyperparameters(recipe: Recipe) -> dict[str, Allowed | None]:
    """Return the hyperparameters of a recipe and the values each may have; None for any text."""
    own = {name: recipe.allowed.get(name) for name in recipe.hyperparameters}
    return own | dict(recipe.without_effect)


def _shaping(recipe: Recipe) -> list[str]:
    """Return the hyperparameters that may be among featureTransformationParameters."""
    return sorted(filter(shapes_data, accepted_hyperparameters(recipe)))


def _check_hyperparameters(recipe: Recipe, values: Mapping[str, str]) -> None:
    accepted = accepted_hyperparameters(recipe)
    for name, value in values.items():
        if name not in accepted:
            names = ", ".join(sorted(accepted)) or "none"
            raise Permanent(f"The recipe {recipe.name} has no hyperparameter {name}; it has: {names}.")
        allowed = accepted[name]
        if allowed is not None and not _fits(value, allowed):
            raise Permanent(f"The hyperparameter {name} must be {_in_words(allowed)}, not {value!r}.")


def _check_percentiles(values: Mapping[str, str]) -> None:
    """Raise Permanent if a minimum percentile is not below its maximum."""
    for quantity in ("user_history_length", "item_interaction_count"):
        low, high = (_number(values.get(f"{bound}_{quantity}_percentile", "")) for bound in ("min", "max"))
        if low is not None and high is not None and low >= high:
            raise Permanent(
                f"min_{quantity}_percentile {low} must be below max_{quantity}_percentile {high}: "
                "nothing lies between them."
            )


def _check_transformations(recipe: Recipe, values: Mapping[str, str]) -> None:
    shaping = _shaping(recipe)
    for name, value in values.items():
        allowed = recipe.transformations.get(name)
        if allowed is None and name not in shaping:
            names = ", ".join([*recipe.transformations, *shaping]) or "none"
            raise Permanent(
                f"The recipe {recipe.name} has no feature transformation {name}; it has: {names}."
            )
        if allowed is not None and value not in allowed:
            raise Permanent(f"The feature transformation {name} must be {_in_words(allowed)}, not {value!r}.")


def _check_events(config: TrainingConfig) -> None:
    parameters = config.event_parameters
    unnamed = [place for place, entry in enumerate(parameters) if not entry.event_type]
    if unnamed:
        raise Permanent(f"eventsConfig.eventParametersList: entry {unnamed[0]} names no eventType.")
    if parameters and all(entry.weight == 0 for entry in parameters):
        raise Permanent("eventsConfig.eventParametersList: every weight is 0, so no event would count.")


def _fits(value: str, allowed: Allowed) -> bool:
    if not isinstance(allowed, Interval):
        return value.lower() in allowed
    number = _number(value)
    if number is None or not allowed.low <= number <= allowed.high:
        return False
    return number.is_integer() or not allowed.whole


def _in_words(allowed: Allowed) -> str:
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
