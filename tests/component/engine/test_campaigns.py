"""Campaigns: the version that they serve, and what the recommender learns of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.events import CampaignChanged
from shared.events.topics import CAMPAIGNS, TRACKERS
from shared.kafka import StateTable
from shared.models import fingerprint, load
from shared.settings import KafkaSettings
from tests.component.engine.conftest import Engine
from tests.component.engine.groups import active_version, new_version, shop_group
from tests.support.processes import Process
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def shop(engine: Engine, worker: Process) -> dict[str, str]:
    """A group with imported rows, and a version whose training is short: campaigns treat all alike."""
    arns = shop_group(engine, "campaigns")
    version = active_version(engine, arns["group"], "aws-popularity-count")
    return arns | {"solution": version.rpartition("/")[0], "version": version}


def test_a_campaign_is_active_at_once_and_follows_the_newest_version(
    engine: Engine, shop: dict[str, str]
) -> None:
    personalize = engine.personalize
    fixed = personalize.create_campaign(name="fixed", solutionVersionArn=shop["version"])["campaignArn"]
    following = personalize.create_campaign(
        name="following",
        solutionVersionArn=f"{shop['solution']}/$LATEST",
        campaignConfig={"syncWithLatestSolutionVersion": True},
    )["campaignArn"]
    assert personalize.describe_campaign(campaignArn=following)["campaign"]["status"] == "ACTIVE"

    second = personalize.create_solution_version(solutionArn=shop["solution"])["solutionVersionArn"]
    engine.finished(personalize.describe_solution_version, solutionVersionArn=second)

    served = {
        name: personalize.describe_campaign(campaignArn=arn)["campaign"]["solutionVersionArn"]
        for name, arn in (("fixed", fixed), ("following", following))
    }
    assert served == {"fixed": shop["version"], "following": second}
    updated = personalize.update_campaign(campaignArn=fixed, solutionVersionArn=second, minProvisionedTPS=2)
    assert updated["campaignArn"] == fixed
    campaign = personalize.describe_campaign(campaignArn=fixed)["campaign"]
    assert campaign["solutionVersionArn"] == second
    assert campaign["latestCampaignUpdate"]["status"] == "ACTIVE"
    _pinned(engine, shop, following, shop["version"])


def _pinned(engine: Engine, shop: dict[str, str], campaign: str, version: str) -> None:
    """Give a campaign that follows its solution one version: it keeps it when the next one is there."""
    personalize = engine.personalize
    personalize.update_campaign(campaignArn=campaign, solutionVersionArn=version)
    new_version(engine, shop["solution"])

    found = personalize.describe_campaign(campaignArn=campaign)["campaign"]
    assert found["solutionVersionArn"] == version
    assert found["campaignConfig"] == {"syncWithLatestSolutionVersion": False}
    assert found["latestCampaignUpdate"]["campaignConfig"] == found["campaignConfig"]


def test_a_campaign_may_go_over_to_another_solution(engine: Engine, shop: dict[str, str]) -> None:
    personalize = engine.personalize
    campaign = personalize.create_campaign(name="moving", solutionVersionArn=shop["version"])["campaignArn"]
    version = active_version(engine, shop["group"], "aws-trending-now")
    solution = version.rpartition("/")[0]

    personalize.update_campaign(campaignArn=campaign, solutionVersionArn=version)

    found = personalize.describe_campaign(campaignArn=campaign)["campaign"]
    assert found["solutionVersionArn"] == version
    assert found["latestCampaignUpdate"]["solutionVersionArn"] == version
    below = {
        name: {one["name"] for one in personalize.list_campaigns(solutionArn=arn)["campaigns"]}
        for name, arn in (("old", shop["solution"]), ("new", solution))
    }
    assert "moving" not in below["old"]
    assert below["new"] == {"moving"}
    with pytest.raises(personalize.exceptions.ResourceInUseException, match="campaign/moving"):
        personalize.delete_solution(solutionArn=solution)


async def test_campaigns_and_trackers_are_known_on_their_topics(
    engine: Engine, shop: dict[str, str], kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    personalize = engine.personalize
    settings = kafka_settings
    campaigns, trackers = StateTable(settings, CAMPAIGNS), StateTable(settings, TRACKERS)
    await campaigns.start()
    await trackers.start()
    try:
        arn = personalize.create_campaign(name="announced", solutionVersionArn=shop["version"])["campaignArn"]
        tracker = personalize.create_event_tracker(name="announced", datasetGroupArn=shop["group"])
        await eventually(lambda: {"campaigns:announced"} <= campaigns.states.keys() & trackers.states.keys())

        announced = campaigns.states["campaigns:announced"]
        assert isinstance(announced, CampaignChanged)
        assert announced.arn == arn
        assert _fingerprint_of(engine, announced.model_uri, tmp_path) == announced.model_sha256

        personalize.delete_campaign(campaignArn=arn)
        personalize.delete_event_tracker(eventTrackerArn=tracker["eventTrackerArn"])
        await eventually(
            lambda: "campaigns:announced" not in campaigns.states.keys() | trackers.states.keys()
        )
    finally:
        await campaigns.stop()
        await trackers.stop()


def _fingerprint_of(engine: Engine, uri: str, folder: Path) -> str:
    """Return the model in a copy of its folder, as a recommender loads it."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    for entry in engine.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]:
        engine.s3.download_file(bucket, entry["Key"], str(folder / entry["Key"].removeprefix(prefix)))
    assert load(folder).recommend(user_id="u1", limit=5)
    return fingerprint(folder)


def test_a_solution_in_use_can_not_be_deleted(engine: Engine, shop: dict[str, str]) -> None:
    personalize = engine.personalize

    for delete, arn in (
        (personalize.delete_dataset_group, {"datasetGroupArn": shop["group"]}),
        (personalize.delete_solution, {"solutionArn": shop["solution"]}),
    ):
        with pytest.raises(personalize.exceptions.ResourceInUseException):
            delete(**arn)
