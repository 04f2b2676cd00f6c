"""A campaign's model as the campaign's own settings have it."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from services.engine.recipes import RECIPES, Dataset
from services.engine.recipes.recipe import silent
from services.recommender.store.campaigns import Deployed
from shared.events import CampaignChanged
from shared.models import Model


def model() -> Model:
    events = pa.table(
        {"USER_ID": [f"u{n}" for n in range(5)], "ITEM_ID": ["hit"] * 5, "TIMESTAMP": list(range(5))}
    )
    items = pa.table(
        {"ITEM_ID": ["asked", "hit", "twin"], "NAME": ["red wool sock", "red wool hat", "red wool sock"]}
    )
    return RECIPES["aws-semantic-similarity"].fit(Dataset.from_arrow(events, items), {}, silent)


def deployed(**config: object) -> Deployed:
    campaign = CampaignChanged(
        event_id="e",
        tenant="shop",
        occurred_at=datetime.now(UTC),
        name="c",
        arn="arn:aws:personalize:eu-west-1:000000000000:campaign/c",
        status="ACTIVE",
        recipe="aws-semantic-similarity",
        solution_version_arn="arn:aws:personalize:eu-west-1:000000000000:solution/s/1",
        model_uri="s3://bucket/model",
        model_sha256="0" * 64,
        config=dict(config),
    )
    return Deployed(campaign, model())


def first(found: Deployed) -> str:
    assert found.asked is not None
    return found.asked.recommend(item_id="asked", limit=1)[0][0]


def test_popularity_counts_as_much_as_the_campaign_says() -> None:
    assert first(deployed()) == "twin"
    assert first(deployed(rankingInfluence={"POPULARITY": 0.0})) == "twin"
    assert first(deployed(rankingInfluence={"POPULARITY": 1.0})) == "hit"
