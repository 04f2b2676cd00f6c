"""The configurations of campaigns, recommenders and batch inference jobs.

https://docs.aws.amazon.com/personalize/latest/dg/API_CampaignConfig.html
https://docs.aws.amazon.com/personalize/latest/dg/API_RecommenderConfig.html
https://docs.aws.amazon.com/personalize/latest/dg/API_BatchInferenceJobConfig.html
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.engine.domain.members import ExplorationConfig, RankingInfluence
from services.engine.domain.solution_config import TrainingDataConfig
from shared.aws import WireModel


class CampaignConfig(WireModel):
    """The settings of a campaign: exploration, metadata, and automatic deployment of new versions."""

    item_exploration_config: ExplorationConfig | None = None
    enable_metadata_with_recommendations: bool | None = None
    sync_with_latest_solution_version: bool | None = None
    ranking_influence: RankingInfluence | None = None


class RecommenderConfig(WireModel):
    """The settings of a recommender: exploration, metadata, and the columns that it is trained on."""

    item_exploration_config: ExplorationConfig | None = None
    min_recommendation_requests_per_second: Annotated[int, Field(ge=1)] | None = None
    training_data_config: TrainingDataConfig | None = None
    enable_metadata_with_recommendations: bool | None = None


class BatchInferenceJobConfig(WireModel):
    """The settings of a batch inference job: exploration and ranking."""

    item_exploration_config: ExplorationConfig | None = None
    ranking_influence: RankingInfluence | None = None
