"""A campaign's model with the campaign's configuration."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.fitting import silent
from services.engine.training.recipes import RECIPES, Dataset
from services.recommender.domain.deployed_campaign import DeployedCampaign
from services.recommender.store.campaigns import Campaigns
from shared.events import CampaignChanged
from shared.models import Model


def model() -> Model:
    events = pa.table(
        {"USER_ID": [f"u{n}" for n in range(5)], "ITEM_ID": ["hit"] * 5, "TIMESTAMP": list(range(5))}
    )
    items = pa.table(
        {"ITEM_ID": ["asked", "hit", "twin"], "NAME": ["red wool sock", "red wool hat", "red wool sock"]}
    )
    return RECIPES["aws-semantic-similarity"].fit(Dataset.from_arrow(events, items), TrainingConfig(), silent)


def deployed(**config: object) -> DeployedCampaign:
    return DeployedCampaign(announced("shop", **config), model())


def announced(tenant: str, second: int = 0, **config: object) -> CampaignChanged:
    return CampaignChanged(
        event_id="e",
        tenant=tenant,
        occurred_at=datetime.fromtimestamp(1_700_000_000 + second, UTC),
        name="c",
        arn="arn:aws:personalize:eu-west-1:000000000000:campaign/c",
        status="ACTIVE",
        recipe="aws-semantic-similarity",
        solution_version_arn="arn:aws:personalize:eu-west-1:000000000000:solution/s/1",
        model_uri="s3://bucket/model",
        model_sha256="0" * 64,
        config=dict(config),
    )


def first(deployed_campaign: DeployedCampaign) -> str:
    assert deployed_campaign.configured_model is not None
    return deployed_campaign.configured_model.recommend(item_id="asked", limit=1)[0][0]


def test_popularity_has_the_influence_that_the_campaign_configures() -> None:
    assert first(deployed()) == "twin"
    assert first(deployed(rankingInfluence={"POPULARITY": 0.0})) == "twin"
    assert first(deployed(rankingInfluence={"POPULARITY": 1.0})) == "hit"


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (0, 2, 1)])
async def test_a_key_pair_finds_a_campaign_that_moved_to_another_group_in_any_order_of_events(
    order: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.recommender.store.campaigns.FIRST_MODEL_WAIT_SECONDS", 0.0)
    campaigns = Campaigns(None, tmp_path, None, None)  # type: ignore[arg-type]
    # Two keys, so two partitions: what is read first after a restart is chance.
    records = (("before:c", announced("before")), ("after:c", announced("after", 9)), ("before:c", None))
    for number in order:
        campaigns.apply(*records[number])

    deployed_campaign = await campaigns.find(None, "000000000000", "c")

    assert deployed_campaign is not None
    assert deployed_campaign.campaign.tenant == "after"
