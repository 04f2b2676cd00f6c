"""itemExplorationConfig is checked when something is made, not when it is asked."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from services.engine.domain.deployment_config import (
    BatchInferenceJobConfig,
    CampaignConfig,
    RecommenderConfig,
)


@pytest.mark.parametrize("config", [BatchInferenceJobConfig, CampaignConfig, RecommenderConfig])
def test_settings_of_exploration_must_mean_something(config: type[BaseModel]) -> None:
    settings = {"explorationWeight": "0.5", "explorationItemAgeCutOff": "14"}
    taken = config.model_validate({"itemExplorationConfig": settings})
    assert taken.model_dump(by_alias=True, exclude_none=True) == {"itemExplorationConfig": settings}
    with pytest.raises(ValidationError, match="explorationWeight must be between 0 and 1, not 2"):
        config.model_validate({"itemExplorationConfig": {"explorationWeight": "2"}})
