"""The configuration of hyperparameter search, AutoML and themes, which is stored and has no effect.

https://docs.aws.amazon.com/personalize/latest/dg/API_HPOConfig.html
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.engine.domain.members import ColumnName, ParameterName, ParameterValue, ShortText
from shared.aws import WireModel
from shared.aws.members import ArnText

LIMIT = 1_000_000
"""The bounds of ranges; a limit of Amazon Personalize."""


class HpoObjective(WireModel):
    """The metric that the search maximizes."""

    type: ShortText | None = None
    metric_name: ShortText | None = None
    metric_regex: ShortText | None = None


class HpoResourceConfig(WireModel):
    """The number of trainings of the search, as text."""

    max_number_of_training_jobs: ShortText | None = None
    max_parallel_training_jobs: ShortText | None = None


class IntegerRange(WireModel):
    """A range of integers to try."""

    name: ParameterName | None = None
    min_value: Annotated[int, Field(ge=-LIMIT)] | None = None
    max_value: Annotated[int, Field(le=LIMIT)] | None = None


class ContinuousRange(WireModel):
    """A range of numbers to try."""

    name: ParameterName | None = None
    min_value: Annotated[float, Field(ge=-LIMIT, allow_inf_nan=False)] | None = None
    max_value: Annotated[float, Field(ge=-LIMIT, allow_inf_nan=False)] | None = None


class CategoricalRange(WireModel):
    """Categories to try."""

    name: ParameterName | None = None
    values: Annotated[tuple[ParameterValue, ...], Field(max_length=100)] | None = None


class HyperParameterRanges(WireModel):
    """The ranges that the search tries."""

    integer_hyper_parameter_ranges: Annotated[tuple[IntegerRange, ...], Field(max_length=100)] | None = None
    continuous_hyper_parameter_ranges: (
        Annotated[tuple[ContinuousRange, ...], Field(max_length=100)] | None
    ) = None
    categorical_hyper_parameter_ranges: (
        Annotated[tuple[CategoricalRange, ...], Field(max_length=100)] | None
    ) = None


class HpoConfig(WireModel):
    """A search for hyperparameters. Without it, too, recipes choose theirs on a validation split."""

    hpo_objective: HpoObjective | None = None
    hpo_resource_config: HpoResourceConfig | None = None
    algorithm_hyper_parameter_ranges: HyperParameterRanges | None = None


class AutoMlConfig(WireModel):
    """A search for a recipe by performAutoML, which is not supported."""

    metric_name: ShortText | None = None
    recipe_list: Annotated[tuple[ArnText, ...], Field(max_length=100)] | None = None


class ThemeFields(WireModel):
    """The column with the name of an item."""

    item_name: ColumnName


class ThemeGenerationConfig(WireModel):
    """The generation of themes for batch results, which is not supported."""

    fields_for_theme_generation: ThemeFields
