"""The configuration of a solution.

https://docs.aws.amazon.com/personalize/latest/dg/API_SolutionConfig.html
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from services.engine.domain.hpo_config import AutoMlConfig, HpoConfig
from services.engine.domain.members import ColumnName, Influence, Parameters, ShortText
from shared.aws import WireModel

DatasetTypeName = Annotated[str, StringConstraints(max_length=256, pattern=r"^[A-Za-z_]+$")]
Columns = Annotated[
    dict[DatasetTypeName, Annotated[tuple[ColumnName, ...], Field(max_length=50)]], Field(max_length=3)
]
MAX_AUTO_TRAINING_DAYS = 30
"""The longest interval of automatic training; a limit of Amazon Personalize."""


class EventParameters(WireModel):
    """The weight of an event type, and the smallest value at which its events count."""

    event_type: ShortText | None = None
    event_value_threshold: Annotated[float, Field(allow_inf_nan=False)] | None = None
    weight: Influence | None = None


class EventsConfig(WireModel):
    """The event types that a solution trains on."""

    event_parameters_list: Annotated[tuple[EventParameters, ...], Field(max_length=10)] | None = None


class OptimizationObjective(WireModel):
    """A numeric item attribute to maximize in addition to relevance."""

    item_attribute: Annotated[str, StringConstraints(min_length=1, max_length=150)] | None = None
    objective_sensitivity: Literal["LOW", "MEDIUM", "HIGH", "OFF"] | None = None


class TrainingDataConfig(WireModel):
    """The columns to train on, by dataset type."""

    excluded_dataset_columns: Columns | None = None
    included_dataset_columns: Columns | None = None


class AutoTrainingConfig(WireModel):
    """The interval of automatic training."""

    scheduling_expression: (
        Annotated[str, StringConstraints(min_length=1, max_length=16, pattern=r"^rate\(\d+ days?\)$")] | None
    ) = None

    @property
    def days(self) -> int | None:
        """Return the days of the schedule, such as 7 for `rate(7 days)`; None if there is no schedule."""
        if self.scheduling_expression is None:
            return None
        return int("".join(character for character in self.scheduling_expression if character.isdigit()))


class SolutionConfig(WireModel):
    """The configuration of a solution. `hpo_config` and `auto_ml_config` are stored and have no effect."""

    event_value_threshold: ShortText | None = None
    hpo_config: HpoConfig | None = None
    algorithm_hyper_parameters: Parameters | None = None
    feature_transformation_parameters: Parameters | None = None
    auto_ml_config: Annotated[AutoMlConfig | None, Field(alias="autoMLConfig")] = None
    events_config: EventsConfig | None = None
    optimization_objective: OptimizationObjective | None = None
    training_data_config: TrainingDataConfig | None = None
    auto_training_config: AutoTrainingConfig | None = None


class TrainingConfig(SolutionConfig):
    """The configuration that a training reads: that of its solution, and the event type to train on."""

    event_type: str | None = None

    @property
    def event_parameters(self) -> tuple[EventParameters, ...]:
        """Return the event types of eventsConfig."""
        events = self.events_config or EventsConfig()
        return events.event_parameters_list or ()

    @property
    def objective_attribute(self) -> str | None:
        """Return the item attribute of the optimization objective; None without one."""
        return None if self.optimization_objective is None else self.optimization_objective.item_attribute

    def with_event_type(self, event_type: str) -> TrainingConfig:
        """Return the configuration with this event type alone."""
        return self.model_copy(update={"event_type": event_type, "events_config": None})


class SolutionUpdateConfig(WireModel):
    """The part of a solution's configuration that UpdateSolution can replace."""

    auto_training_config: AutoTrainingConfig | None = None
    events_config: EventsConfig | None = None
