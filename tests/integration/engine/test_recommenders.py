"""Recommenders: their statuses, their trainings, and what is announced of them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from services.engine.domain.resources import Status
from services.engine.domain.state import RecommenderTraining
from services.engine.personalize import recommender_trainings
from services.engine.personalize.dispatcher import OperationDispatcher
from services.engine.schedule import AutoTraining
from services.engine.settings import Settings
from services.engine.store import resources
from shared.aws import WireError
from shared.postgres import Database
from tests.support.control_plane import RECIPE, perform
from tests.support.deletions import end_deletions

USE_CASE = "arn:aws:personalize:::recipe/aws-ecomm-recommended-for-you"
COLUMNS = {"trainingDataConfig": {"excludedDatasetColumns": {"ITEMS": ["PRICE"]}}}


@pytest.fixture
async def group(dispatcher: OperationDispatcher) -> str:
    made = await perform(dispatcher, "CreateDatasetGroup", name="shop", domain="ECOMMERCE")
    return str(made.dataset_group_arn)


@pytest.fixture
async def recommender(dispatcher: OperationDispatcher, group: str) -> str:
    made = await perform(
        dispatcher, "CreateRecommender", name="you", datasetGroupArn=group, recipeArn=USE_CASE
    )
    return str(made.recommender_arn)


async def described(dispatcher: OperationDispatcher, arn: str) -> Any:
    return (await perform(dispatcher, "DescribeRecommender", recommenderArn=arn)).recommender


async def trainings(store: Database) -> list[RecommenderTraining]:
    rows = await store.fetch("SELECT id FROM resources WHERE type = 'recommender-training' ORDER BY id")
    loaded = [await resources.by_id(store, row["id"]) for row in rows]
    return [RecommenderTraining.of(each) for each in loaded if each is not None]


def digest(name: str) -> str:
    """The SHA-256 of a model of that name."""
    return hashlib.sha256(name.encode()).hexdigest()


async def train(store: Database, fingerprint: str) -> None:
    """End the newest training as a worker does."""
    training = (await trainings(store))[-1]
    async with store.transaction() as connection:
        account = resources.in_account_of(connection, training)
        model = {
            "metrics": {"coverage": 0.123456},
            "model_uri": "s3://a/b/",
            "model_sha256": digest(fingerprint),
        }
        ended = await account.save(training, status=Status.ACTIVE, facts=training.facts.merged(model))
        await recommender_trainings.deploy(account, ended, 24.0)


async def fail(store: Database, sentence: str) -> None:
    training = (await trainings(store))[-1]
    async with store.transaction() as connection:
        account = resources.in_account_of(connection, training)
        ended = await account.save(training, status=Status.FAILED, failure_reason=sentence)
        await recommender_trainings.mark_failed(account, ended, sentence)


async def served(store: Database) -> list[tuple[str, str, str]]:
    rows = await store.fetch("SELECT name, status, model_sha256 FROM campaigns_v1 ORDER BY name")
    return [tuple(row) for row in rows]


async def refused(dispatcher: OperationDispatcher, operation: str, **arguments: Any) -> str:
    with pytest.raises(WireError) as caught:
        await perform(dispatcher, operation, **arguments)
    return str(caught.value.code)


async def test_a_recommender_is_active_when_it_is_trained(
    dispatcher: OperationDispatcher, store: Database, recommender: str
) -> None:
    assert (await described(dispatcher, recommender)).status == "CREATE PENDING"
    assert await served(store) == []
    assert await store.fetchval("SELECT kind FROM jobs") == "recommender-training"

    await train(store, "one")

    after = await described(dispatcher, recommender)
    assert after.status == "ACTIVE"
    assert after.model_metrics == {"coverage": 0.1235}
    assert await served(store) == [("recommender/you", "ACTIVE", digest("one"))]


async def test_a_recommender_fails_with_its_first_training_alone(
    dispatcher: OperationDispatcher, store: Database, group: str, recommender: str
) -> None:
    await fail(store, "There is nothing to train on.")
    failed = await described(dispatcher, recommender)
    assert (failed.status, failed.failure_reason) == ("CREATE FAILED", "There is nothing to train on.")
    await perform(dispatcher, "DeleteRecommender", recommenderArn=recommender)
    await end_deletions(store)

    recreated = await perform(
        dispatcher, "CreateRecommender", name="you", datasetGroupArn=group, recipeArn=USE_CASE
    )
    await train(store, "one")
    await store.execute("UPDATE resources SET created_at = created_at - interval '8 days'")
    assert len(await AutoTraining(store, Settings()).begin_due()) == 1
    await fail(store, "The machine had no memory left.")

    assert (await described(dispatcher, recreated.recommender_arn)).status == "ACTIVE"
    assert await served(store) == [("recommender/you", "ACTIVE", digest("one"))]


async def test_a_recommender_trains_weekly_and_not_while_it_is_stopped(
    dispatcher: OperationDispatcher, store: Database, recommender: str
) -> None:
    schedule = AutoTraining(store, Settings())
    await train(store, "one")

    async def begun(later: str) -> int:
        await store.execute("UPDATE resources SET created_at = created_at - $1::text::interval", later)
        return len(await schedule.begin_due())

    assert await begun("6 days") == 0
    await perform(dispatcher, "StopRecommender", recommenderArn=recommender)
    assert await begun("2 days") == 0
    await perform(dispatcher, "StartRecommender", recommenderArn=recommender)
    assert await begun("0 days") == 1
    await train(store, "two")
    assert await served(store) == [("recommender/you", "ACTIVE", digest("two"))]
    assert len(await trainings(store)) == 1, "what no model needs any more is gone"
    assert await store.fetchval("SELECT count(*) FROM garbage") == 1


async def test_other_columns_come_with_the_next_model_and_other_settings_at_once(
    dispatcher: OperationDispatcher, store: Database, recommender: str
) -> None:
    await train(store, "one")
    exploring = {"itemExplorationConfig": {"explorationWeight": "0.1"}}

    await perform(dispatcher, "UpdateRecommender", recommenderArn=recommender, recommenderConfig=exploring)
    update = {"recommenderArn": recommender, "recommenderConfig": exploring}
    assert await refused(dispatcher, "UpdateRecommender", **update) == "InvalidInputException"
    update["recommenderConfig"] = {}
    assert await refused(dispatcher, "UpdateRecommender", **update) == "InvalidInputException"
    at_once = await described(dispatcher, recommender)
    assert at_once.recommender_config.item_exploration_config == {"explorationWeight": "0.1"}
    assert at_once.latest_recommender_update.status == "ACTIVE"

    await perform(dispatcher, "UpdateRecommender", recommenderArn=recommender, recommenderConfig=COLUMNS)
    waiting = await described(dispatcher, recommender)
    assert (waiting.status, waiting.latest_recommender_update.status) == ("ACTIVE", "CREATE PENDING")
    assert waiting.recommender_config.training_data_config is None
    update = {"recommenderArn": recommender, "recommenderConfig": COLUMNS}
    assert await refused(dispatcher, "UpdateRecommender", **update) == "ResourceInUseException"
    assert (await trainings(store))[-1].document.to_json()["solutionConfig"] == COLUMNS

    await train(store, "two")
    done = await described(dispatcher, recommender)
    assert done.latest_recommender_update.status == "ACTIVE"
    assert done.recommender_config.training_data_config is not None
    assert done.recommender_config.item_exploration_config == {"explorationWeight": "0.1"}


async def test_an_update_that_can_not_be_trained_leaves_the_model_that_serves(
    dispatcher: OperationDispatcher, store: Database, recommender: str
) -> None:
    await train(store, "one")
    await perform(dispatcher, "UpdateRecommender", recommenderArn=recommender, recommenderConfig=COLUMNS)
    await fail(store, "It did not work.")

    after = await described(dispatcher, recommender)

    assert (after.status, after.latest_recommender_update.status) == ("ACTIVE", "CREATE FAILED")
    assert after.latest_recommender_update.failure_reason == "It did not work."
    await perform(dispatcher, "UpdateRecommender", recommenderArn=recommender, recommenderConfig=COLUMNS)


async def test_stopping_starting_and_deleting_are_announced(
    dispatcher: OperationDispatcher, store: Database, recommender: str
) -> None:
    await train(store, "one")
    await perform(dispatcher, "StopRecommender", recommenderArn=recommender)
    assert (
        await refused(dispatcher, "StopRecommender", recommenderArn=recommender) == "ResourceInUseException"
    )
    assert (await described(dispatcher, recommender)).status == "INACTIVE"
    await perform(dispatcher, "StartRecommender", recommenderArn=recommender)
    assert (
        await refused(dispatcher, "StartRecommender", recommenderArn=recommender) == "ResourceInUseException"
    )
    await perform(dispatcher, "DeleteRecommender", recommenderArn=recommender)
    await end_deletions(store)

    rows = await store.fetch("SELECT aggregateid, type, payload ->> 'status' AS status FROM outbox")

    assert {row["aggregateid"] for row in rows} == {"shop:recommender/you"}
    assert [row["status"] for row in rows] == ["INACTIVE", "ACTIVE", None]
    assert rows[-1]["type"] == "tombstone"
    missing = await refused(dispatcher, "DescribeRecommender", recommenderArn=recommender)
    assert missing == "ResourceNotFoundException"


async def test_one_that_is_being_made_can_not_be_changed(
    dispatcher: OperationDispatcher, recommender: str
) -> None:
    for operation, more in (
        ("DeleteRecommender", {}),
        ("StopRecommender", {}),
        ("StartRecommender", {}),
        ("UpdateRecommender", {"recommenderConfig": COLUMNS}),
    ):
        code = await refused(dispatcher, operation, recommenderArn=recommender, **more)
        assert code == "ResourceInUseException", operation


async def test_recommenders_are_for_use_cases_of_the_groups_domain(
    dispatcher: OperationDispatcher, group: str
) -> None:
    plain = (await perform(dispatcher, "CreateDatasetGroup", name="plain")).dataset_group_arn
    films = USE_CASE.replace("aws-ecomm-recommended-for-you", "aws-vod-top-picks")

    for group_arn, recipe in ((plain, USE_CASE), (group, RECIPE), (group, films)):
        body = {"name": "a", "datasetGroupArn": group_arn, "recipeArn": recipe}
        assert await refused(dispatcher, "CreateRecommender", **body) == "InvalidInputException"
    solution = {"name": "a", "datasetGroupArn": group, "recipeArn": USE_CASE}
    assert await refused(dispatcher, "CreateSolution", **solution) == "InvalidInputException"


async def test_a_group_with_a_recommender_is_in_use(
    dispatcher: OperationDispatcher, group: str, recommender: str
) -> None:
    assert await refused(dispatcher, "DeleteDatasetGroup", datasetGroupArn=group) == "ResourceInUseException"
    listed = await perform(dispatcher, "ListRecommenders", datasetGroupArn=group)
    assert [each.recommender_arn for each in listed.recommenders] == [recommender]
    # Its training is not for anybody to see.
    training = recommender + "/12345678"
    assert await refused(dispatcher, "DescribeRecommender", recommenderArn=training) == (
        "ResourceNotFoundException"
    )
