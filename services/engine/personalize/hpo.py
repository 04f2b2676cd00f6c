"""The search for hyperparameters and for a recipe, as a solution describes it: kept and not used."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.engine.personalize.members import (
    ArnText,
    ColumnName,
    ParameterName,
    ParameterValue,
    ShortText,
    WireModel,
)

FARTHEST = 1_000_000


class HpoObjective(WireModel):
    """What the search maximises."""

    type: ShortText | None = None
    metric_name: ShortText | None = None
    metric_regex: ShortText | None = None


class HpoResourceConfig(WireModel):
    """How many trainings the search may take; numbers as text."""

    max_number_of_training_jobs: ShortText | None = None
    max_parallel_training_jobs: ShortText | None = None


class IntegerRange(WireModel):
    """Whole numbers to try."""

    name: ParameterName | None = None
    min_value: Annotated[int, Field(ge=-FARTHEST)] | None = None
    max_value: Annotated[int, Field(le=FARTHEST)] | None = None


class ContinuousRange(WireModel):
    """Numbers to try."""

    name: ParameterName | None = None
    min_value: Annotated[float, Field(ge=-FARTHEST, allow_inf_nan=False)] | None = None
    max_value: Annotated[float, Field(ge=-FARTHEST, allow_inf_nan=False)] | None = None


class CategoricalRange(WireModel):
    """Words to try."""

    name: ParameterName | None = None
    values: Annotated[tuple[ParameterValue, ...], Field(max_length=100)] | None = None


class HyperParameterRanges(WireModel):
    """What the search tries."""

    integer_hyper_parameter_ranges: Annotated[tuple[IntegerRange, ...], Field(max_length=100)] | None = None
    continuous_hyper_parameter_ranges: (
        Annotated[tuple[ContinuousRange, ...], Field(max_length=100)] | None
    ) = None
    categorical_hyper_parameter_ranges: (
        Annotated[tuple[CategoricalRange, ...], Field(max_length=100)] | None
    ) = None


class HpoConfig(WireModel):
    """A search for hyperparameters. Recipes here choose theirs on a validation split by themselves."""

    hpo_objective: HpoObjective | None = None
    hpo_resource_config: HpoResourceConfig | None = None
    algorithm_hyper_parameter_ranges: HyperParameterRanges | None = None


class AutoMlConfig(WireModel):
    """A search for a recipe, which performAutoML would begin; that is declined."""

    metric_name: ShortText | None = None
    recipe_list: Annotated[tuple[ArnText, ...], Field(max_length=100)] | None = None


class ThemeFields(WireModel):
    """The column that names an item."""

    item_name: ColumnName


class ThemeGenerationConfig(WireModel):
    """Themes of batch results, which are declined."""

    fields_for_theme_generation: ThemeFields
