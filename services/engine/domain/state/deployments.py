"""The states of campaigns and recommenders, and of the trainings of recommenders."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from services.engine.domain.deployment_config import CampaignConfig, RecommenderConfig
from services.engine.domain.resources import ResourceType
from services.engine.domain.state.resource import ArnValue, Document, Facts, ResourceState
from services.engine.domain.state.solutions import ModelFacts, ModelTraining, ModelTrainingDocument
from services.engine.domain.state.updates import CampaignUpdate, RecommenderUpdate
from shared.events import RecipeTraits


class CampaignDocument(Document):
    """The members of a campaign. `solution_version_arn` is the version that it serves."""

    solution_version_arn: ArnValue
    min_provisioned_tps: Annotated[int, Field(alias="minProvisionedTPS")] = 1
    campaign_config: CampaignConfig | None = None
    latest_campaign_update: CampaignUpdate | None = None


class CampaignFacts(Facts):
    """The model that a campaign serves."""

    recipe: str
    solution_version_arn: ArnValue
    model_uri: str
    model_sha256: str
    traits: RecipeTraits | None = None


class Campaign(ResourceState):
    """A deployed solution version."""

    type: ClassVar[ResourceType] = ResourceType.CAMPAIGN
    document: CampaignDocument
    facts: CampaignFacts


class RecommenderDocument(Document):
    """The members of a recommender."""

    dataset_group_arn: ArnValue
    recipe_arn: ArnValue
    recommender_config: RecommenderConfig | None = None
    latest_recommender_update: RecommenderUpdate | None = None


class RecommenderFacts(Facts):
    """The model that a recommender serves, once there is one.

    `solution_version_arn` is the ARN of its training. `update_training` is the id of the training with which
    the newest update of the configuration comes into force.
    """

    recipe: str
    solution_version_arn: ArnValue | None = None
    model_uri: str | None = None
    model_sha256: str | None = None
    metrics: dict[str, float] | None = None
    traits: RecipeTraits | None = None
    update_training: int | None = None


class Recommender(ResourceState):
    """A use case of a domain: trained and deployed as one resource."""

    type: ClassVar[ResourceType] = ResourceType.RECOMMENDER
    document: RecommenderDocument
    facts: RecommenderFacts

    @property
    def config(self) -> RecommenderConfig:
        """Return the configuration in force."""
        return self.document.recommender_config or RecommenderConfig()


class RecommenderTrainingDocument(ModelTrainingDocument):
    """The settings of a training."""


class RecommenderTraining(ModelTraining):
    """A training of a recommender. No operation shows it."""

    type: ClassVar[ResourceType] = ResourceType.RECOMMENDER_TRAINING
    document: RecommenderTrainingDocument
    facts: ModelFacts
