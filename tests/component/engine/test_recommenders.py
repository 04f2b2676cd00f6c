"""Recommenders with boto3: the five use cases of a shop, trained and described."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from shared.models import Model, load
from tests.component.engine.conftest import Engine
from tests.component.engine.groups import checked, imported
from tests.component.engine.shop import INTERACTIONS_SCHEMA, interactions_csv
from tests.support.deletions import until_deleted
from tests.support.processes import Process

RECIPES = "arn:aws:personalize:::recipe"
USE_CASES = (
    "popular-items-by-views",
    "popular-items-by-purchases",
    "frequently-bought-together",
    "customers-who-viewed-x-also-viewed",
    "recommended-for-you",
)


@pytest.fixture(scope="module")
def shop(engine: Engine, worker: Process) -> dict[str, str]:
    """A group of the domain with interactions, and a recommender of each use case, all ACTIVE."""
    personalize = engine.personalize
    group = personalize.create_dataset_group(name="domain", domain="ECOMMERCE")["datasetGroupArn"]
    text = json.dumps(INTERACTIONS_SCHEMA)
    schema = personalize.create_schema(name="domain", schema=text, domain="ECOMMERCE")["schemaArn"]
    dataset = personalize.create_dataset(
        name="domain", schemaArn=schema, datasetGroupArn=group, datasetType="Interactions"
    )["datasetArn"]
    imported(engine, dataset, "domain", interactions_csv())
    arns = {"group": group}
    for name in USE_CASES:
        recipe = f"{RECIPES}/aws-ecomm-{name}"
        made = checked(engine, "CreateRecommender", name=name, datasetGroupArn=group, recipeArn=recipe)
        arns[name] = made["recommenderArn"]
    for name in USE_CASES:
        ended = engine.finished(personalize.describe_recommender, recommenderArn=arns[name])
        assert ended["status"] == "ACTIVE", ended
    return arns


def purchases(user: str) -> set[str]:
    rows = [line.split(",") for line in interactions_csv().splitlines()]
    return {item for buyer, item, _, kind, *_ in rows if buyer == user and kind == "Purchase"}


def model_of(engine: Engine, arn: str, folder: Path) -> Model:
    """Return the model that a recommender service loads."""

    async def model_uri() -> str:
        connection = await asyncpg.connect(engine.database.url)
        try:
            query = "SELECT model_uri FROM engine.campaigns_v1 WHERE arn = $1 AND name LIKE 'recommender/%'"
            return str(await connection.fetchval(query, arn))
        finally:
            await connection.close()

    bucket, _, prefix = asyncio.run(model_uri()).removeprefix("s3://").partition("/")
    for entry in engine.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]:
        engine.s3.download_file(bucket, entry["Key"], str(folder / entry["Key"].removeprefix(prefix)))
    return load(folder)


def test_what_was_purchased_is_not_recommended_for_you(
    engine: Engine, shop: dict[str, str], tmp_path: Path
) -> None:
    model = model_of(engine, shop["recommended-for-you"], tmp_path)

    for user in ("u1", "u2", "u3"):
        bought = purchases(user)
        shown = {item for item, _ in model.recommend(user_id=user, limit=500)}
        assert bought
        assert shown
        assert not bought & shown


def test_the_answers_have_the_shape_that_botocore_expects(engine: Engine, shop: dict[str, str]) -> None:
    arn = {"recommenderArn": shop["popular-items-by-views"]}
    recommender = checked(engine, "DescribeRecommender", **arn)["recommender"]
    assert "coverage" in recommender["modelMetrics"]
    config = {"itemExplorationConfig": {"explorationWeight": "0"}, "enableMetadataWithRecommendations": True}
    checked(engine, "UpdateRecommender", **arn, recommenderConfig=config)
    described = checked(engine, "DescribeRecommender", **arn)["recommender"]
    assert described["recommenderConfig"] == config
    assert described["latestRecommenderUpdate"]["status"] == "ACTIVE"
    checked(engine, "StopRecommender", **arn)
    assert checked(engine, "DescribeRecommender", **arn)["recommender"]["status"] == "INACTIVE"
    checked(engine, "StartRecommender", **arn)
    listed = checked(engine, "ListRecommenders", datasetGroupArn=shop["group"])["recommenders"]
    assert len(listed) == len(USE_CASES)
    foreign = {"recommenderArn": arn["recommenderArn"].replace("eu-west-1", "us-east-1")}
    checked(engine, "DeleteRecommender", **foreign)
    deleting = until_deleted(engine.personalize.describe_recommender, **arn)
    assert set(deleting) <= {"DELETE PENDING", "DELETE IN_PROGRESS"}


def test_other_columns_train_a_recommender_anew(engine: Engine, shop: dict[str, str]) -> None:
    arn = {"recommenderArn": shop["frequently-bought-together"]}
    columns: dict[str, Any] = {"excludedDatasetColumns": {"INTERACTIONS": ["EVENT_VALUE"]}}

    engine.personalize.update_recommender(**arn, recommenderConfig={"trainingDataConfig": columns})

    def latest(**named: str) -> dict[str, Any]:
        described = engine.personalize.describe_recommender(**named)["recommender"]
        assert described["status"] == "ACTIVE"
        return {"update": described["latestRecommenderUpdate"]}

    assert engine.finished(latest, **arn)["status"] == "ACTIVE"
    described = engine.personalize.describe_recommender(**arn)["recommender"]
    assert described["recommenderConfig"]["trainingDataConfig"] == columns
