"""The newest update of a resource, as Describe answers with it: latestCampaignUpdate and the like."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field, PlainSerializer

from services.engine.domain.deployment_config import CampaignConfig, RecommenderConfig
from services.engine.domain.resources import Status
from services.engine.domain.solution_config import SolutionUpdateConfig
from services.engine.domain.state.resource import ArnValue
from shared.aws import WireModel
from shared.aws.members import Timestamp

EpochSeconds = Annotated[Timestamp, PlainSerializer(datetime.timestamp, return_type=float, when_used="json")]


def _now() -> datetime:
    return datetime.now(UTC)


class Update(WireModel):
    """An update: its status and times. By default it is in force, and made now."""

    status: str = Status.ACTIVE
    creation_date_time: EpochSeconds = Field(default_factory=_now)
    last_updated_date_time: EpochSeconds = Field(default_factory=_now)
    failure_reason: str | None = None


class DatasetUpdate(Update):
    """A new schema for a dataset."""

    schema_arn: ArnValue


class SolutionUpdate(Update):
    """Changed settings of a solution."""

    solution_update_config: SolutionUpdateConfig | None = None
    perform_auto_training: bool | None = None
    perform_incremental_update: bool | None = None


class CampaignUpdate(Update):
    """The version and the settings of a campaign after an update."""

    solution_version_arn: ArnValue
    min_provisioned_tps: Annotated[int, Field(alias="minProvisionedTPS")]
    campaign_config: CampaignConfig | None = None


class RecommenderUpdate(Update):
    """The configuration of a recommender after an update."""

    recommender_config: RecommenderConfig | None = None
