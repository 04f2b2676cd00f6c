"""The states of solutions, their versions, and the renewals of models by incremental updates."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from services.engine.domain.resources import ResourceType
from services.engine.domain.solution_config import SolutionConfig, TrainingConfig
from services.engine.domain.state.resource import ArnValue, Document, Facts, ResourceState
from services.engine.domain.state.updates import SolutionUpdate
from shared.events import RecipeTraits


class TrainingDocument(Document):
    """The members that a recipe reads."""

    event_type: str | None = None
    solution_config: SolutionConfig | None = None


class ModelTrainingDocument(TrainingDocument):
    """The members of a training."""

    dataset_group_arn: ArnValue
    training_mode: str = "FULL"
    training_hours: float | None = None


class TrainingSettings(TrainingDocument):
    """The members that a solution passes on to its versions."""

    perform_hpo: Annotated[bool | None, Field(alias="performHPO")] = None
    perform_auto_ml: Annotated[bool | None, Field(alias="performAutoML")] = None
    perform_incremental_update: bool | None = None
    recipe_arn: ArnValue
    dataset_group_arn: ArnValue


class SolutionDocument(TrainingSettings):
    """The members of a solution."""

    perform_auto_training: bool = True
    latest_solution_update: SolutionUpdate | None = None


class SolutionFacts(Facts):
    """The name of the recipe."""

    recipe: str


class Solution(ResourceState):
    """A recipe with its configuration."""

    type: ClassVar[ResourceType] = ResourceType.SOLUTION
    document: SolutionDocument
    facts: SolutionFacts


class ModelFacts(Facts):
    """A trained model, once there is one.

    `folder` is a prefix of the data bucket, `model_uri` the same with the bucket, `metrics` are offline
    metrics, `traits` those of the recipe. `imported` are the keys of the interactions' objects that it was
    trained on. A model that was deleted because newer ones exist is `retired` and has no `model_uri`.
    """

    recipe: str
    folder: str
    model_uri: str | None = None
    model_sha256: str | None = None
    metrics: dict[str, float] | None = None
    retired: bool | None = None
    traits: RecipeTraits | None = None
    imported: list[str] | None = None

    @property
    def trained_sha256(self) -> str:
        """Return the SHA-256 of the model of an ACTIVE training."""
        assert self.model_sha256 is not None
        return self.model_sha256


class ModelTraining(ResourceState):
    """A training, and its model."""

    document: ModelTrainingDocument
    facts: ModelFacts


class SolutionVersionDocument(TrainingSettings, ModelTrainingDocument):
    """The members of a solution version."""

    solution_arn: ArnValue
    training_mode: str
    training_type: str


class SolutionVersion(ModelTraining):
    """A training of a solution, and its model."""

    type: ClassVar[ResourceType] = ResourceType.SOLUTION_VERSION
    document: SolutionVersionDocument
    facts: ModelFacts


class ModelRenewalDocument(ModelTrainingDocument):
    """The settings of the version whose model is renewed."""


class ModelRenewal(ModelTraining):
    """An incremental update: a training whose model replaces that of a version. No operation shows it."""

    type: ClassVar[ResourceType] = ResourceType.MODEL_RENEWAL
    document: ModelRenewalDocument
    facts: ModelFacts


def training_config(document: TrainingDocument) -> TrainingConfig:
    """Return the configuration as recipes read it: the solutionConfig and the eventType."""
    config = document.solution_config or SolutionConfig()
    return TrainingConfig.model_validate({**dict(config), "event_type": document.event_type})
