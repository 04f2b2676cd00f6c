"""Tags, and what of a resource may change after it was made."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.engine.personalize.dispatcher import OperationDispatcher
from shared.aws import WireError
from shared.errors import Permanent
from shared.postgres import Database
from tests.support.control_plane import RECIPE, perform

ITEMS = [{"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "float"}]
NAME = {"name": "NAME", "type": ["null", "string"]}


@pytest.fixture
async def group(dispatcher: OperationDispatcher) -> str:
    tags = [{"tagKey": "team", "tagValue": "shop"}]
    made = await perform(dispatcher, "CreateDatasetGroup", name="shop", tags=tags)
    return str(made.dataset_group_arn)


@pytest.fixture
async def solution(dispatcher: OperationDispatcher, group: str) -> str:
    config = {"algorithmHyperParameters": {"shrinkage": "1"}}
    made = await perform(
        dispatcher,
        "CreateSolution",
        name="shop",
        datasetGroupArn=group,
        recipeArn=RECIPE,
        solutionConfig=config,
    )
    return str(made.solution_arn)


async def tags(dispatcher: OperationDispatcher, arn: str) -> dict[str, str]:
    listed = await perform(dispatcher, "ListTagsForResource", resourceArn=arn)
    return {tag.tag_key: tag.tag_value for tag in listed.tags}


async def test_tags_are_kept_added_and_removed(dispatcher: OperationDispatcher, group: str) -> None:
    more = [{"tagKey": "team", "tagValue": "search"}, {"tagKey": "cost", "tagValue": ""}]

    assert await tags(dispatcher, group) == {"team": "shop"}
    await perform(dispatcher, "TagResource", resourceArn=group, tags=more)
    assert await tags(dispatcher, group) == {"team": "search", "cost": ""}
    await perform(dispatcher, "UntagResource", resourceArn=group, tagKeys=["team", "nothing"])
    assert await tags(dispatcher, group) == {"cost": ""}


async def test_a_tag_leaves_the_state_of_its_resource_alone(
    dispatcher: OperationDispatcher, store: Database, group: str
) -> None:
    await store.execute("UPDATE resources SET status = 'CREATE FAILED', failure_reason = 'It is broken.'")
    before = await perform(dispatcher, "DescribeDatasetGroup", datasetGroupArn=group)

    await perform(dispatcher, "TagResource", resourceArn=group, tags=[{"tagKey": "a", "tagValue": "b"}])

    assert await perform(dispatcher, "DescribeDatasetGroup", datasetGroupArn=group) == before


def numbered(count: int) -> list[dict[str, str]]:
    return [{"tagKey": f"k{number}", "tagValue": "v"} for number in range(count)]


async def test_a_resource_has_fifty_tags_at_the_most(dispatcher: OperationDispatcher, group: str) -> None:
    await perform(dispatcher, "TagResource", resourceArn=group, tags=numbered(49))

    for operation, code, arguments in (
        ("TagResource", "TooManyTagsException", {"resourceArn": group, "tags": numbered(50)}),
        ("CreateDatasetGroup", "TooManyTagsException", {"name": "b", "tags": numbered(51)}),
        (
            "UntagResource",
            "TooManyTagKeysException",
            {"resourceArn": group, "tagKeys": [tag["tagKey"] for tag in numbered(51)]},
        ),
        ("TagResource", "InvalidInputException", {"resourceArn": group, "tags": numbered(1) * 2}),
    ):
        assert await refused(dispatcher, operation, **arguments) == code


async def refused(dispatcher: OperationDispatcher, operation: str, **arguments: Any) -> str:
    with pytest.raises((WireError, Permanent)) as caught:
        await perform(dispatcher, operation, **arguments)
    return getattr(caught.value, "code", "InvalidInputException")


async def test_what_has_no_tags_says_so(dispatcher: OperationDispatcher) -> None:
    schema = await make_schema(dispatcher, "plain", *ITEMS)
    nothing = schema.replace("schema/plain", "solution/nothing")

    assert await refused(dispatcher, "ListTagsForResource", resourceArn=schema) == "InvalidInputException"
    assert (
        await refused(dispatcher, "ListTagsForResource", resourceArn=nothing) == "ResourceNotFoundException"
    )


async def make_schema(dispatcher: OperationDispatcher, name: str, *fields: dict[str, Any]) -> str:
    document = {"type": "record", "name": "Items", "fields": list(fields), "version": "1.0"}
    return str((await perform(dispatcher, "CreateSchema", name=name, schema=json.dumps(document))).schema_arn)


async def test_a_dataset_gets_a_wider_schema(dispatcher: OperationDispatcher, group: str) -> None:
    narrow = await make_schema(dispatcher, "narrow", *ITEMS)
    wide = await make_schema(dispatcher, "wide", *ITEMS, NAME)
    dataset = (
        await perform(
            dispatcher,
            "CreateDataset",
            name="items",
            schemaArn=narrow,
            datasetGroupArn=group,
            datasetType="Items",
        )
    ).dataset_arn

    await perform(dispatcher, "UpdateDataset", datasetArn=dataset, schemaArn=wide)

    described = (await perform(dispatcher, "DescribeDataset", datasetArn=dataset)).dataset
    assert described.schema_arn == str(described.latest_dataset_update.schema_arn) == wide
    assert described.latest_dataset_update.status == "ACTIVE"
    await perform(dispatcher, "DeleteSchema", schemaArn=narrow)
    assert await refused(dispatcher, "DeleteSchema", schemaArn=wide) == "ResourceInUseException"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ([ITEMS[0], NAME], r"lacks the fields \['PRICE'\]"),
        ([ITEMS[0], {"name": "PRICE", "type": "string"}], "was float and can't become string"),
        ([*ITEMS, {"name": "NAME", "type": "string"}], r"new fields \['NAME'\] must be nullable"),
    ],
)
async def test_a_schema_that_the_datasets_rows_would_not_fit_is_refused(
    dispatcher: OperationDispatcher, group: str, fields: list[dict[str, Any]], sentence: str
) -> None:
    before = await make_schema(dispatcher, "before", *ITEMS)
    after = await make_schema(dispatcher, "after", *fields)
    dataset = await perform(
        dispatcher,
        "CreateDataset",
        name="items",
        schemaArn=before,
        datasetGroupArn=group,
        datasetType="Items",
    )

    with pytest.raises(Permanent, match=sentence):
        await perform(dispatcher, "UpdateDataset", datasetArn=dataset.dataset_arn, schemaArn=after)


async def test_a_solution_changes_its_schedule_and_its_events(
    dispatcher: OperationDispatcher, solution: str
) -> None:
    update = {
        "autoTrainingConfig": {"schedulingExpression": "rate(3 days)"},
        "eventsConfig": {"eventParametersList": [{"eventType": "View", "weight": 0.1}]},
    }

    await perform(dispatcher, "UpdateSolution", solutionArn=solution, solutionUpdateConfig=update)
    await perform(dispatcher, "UpdateSolution", solutionArn=solution, performAutoTraining=False)

    described = (await perform(dispatcher, "DescribeSolution", solutionArn=solution)).solution
    assert described.perform_auto_training is False
    answer = described.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert answer["solutionConfig"] == {"algorithmHyperParameters": {"shrinkage": "1"}, **update}
    assert answer["latestSolutionUpdate"]["performAutoTraining"] is False
    assert "solutionUpdateConfig" not in answer["latestSolutionUpdate"]


async def test_a_solutions_update_says_what_to_change(dispatcher: OperationDispatcher, solution: str) -> None:
    too_rare = {"autoTrainingConfig": {"schedulingExpression": "rate(31 days)"}}

    assert await refused(dispatcher, "UpdateSolution", solutionArn=solution) == "InvalidInputException"
    assert (
        await refused(dispatcher, "UpdateSolution", solutionArn=solution, solutionUpdateConfig=too_rare)
        == "InvalidInputException"
    )


async def test_a_version_that_waits_is_stopped_at_once(
    dispatcher: OperationDispatcher, solution: str
) -> None:
    version = (await perform(dispatcher, "CreateSolutionVersion", solutionArn=solution)).solution_version_arn

    await perform(dispatcher, "StopSolutionVersionCreation", solutionVersionArn=version)

    described = await perform(dispatcher, "DescribeSolutionVersion", solutionVersionArn=version)
    assert described.solution_version.status == "CREATE STOPPED"
    stop = {"solutionVersionArn": version}
    assert await refused(dispatcher, "StopSolutionVersionCreation", **stop) == "ResourceInUseException"
    assert await refused(dispatcher, "GetSolutionMetrics", **stop) == "InvalidInputException"
    await perform(dispatcher, "DeleteSolution", solutionArn=solution)


async def test_a_campaign_serves_no_version_of_another_group(
    dispatcher: OperationDispatcher, store: Database, solution: str
) -> None:
    another_group = (await perform(dispatcher, "CreateDatasetGroup", name="other")).dataset_group_arn
    elsewhere = await perform(
        dispatcher, "CreateSolution", name="elsewhere", datasetGroupArn=another_group, recipeArn=RECIPE
    )
    mine, theirs = [
        (await perform(dispatcher, "CreateSolutionVersion", solutionArn=arn)).solution_version_arn
        for arn in (solution, elsewhere.solution_arn)
    ]
    await store.execute(
        "UPDATE resources SET status = 'ACTIVE', facts = facts || $1 WHERE type = 'solution-version'",
        {"model_uri": "s3://endcap-data/shop/models/", "model_sha256": "0" * 64},
    )
    campaign = (
        await perform(dispatcher, "CreateCampaign", name="home", solutionVersionArn=mine)
    ).campaign_arn

    with pytest.raises(WireError, match="belongs to another dataset group") as caught:
        await perform(dispatcher, "UpdateCampaign", campaignArn=campaign, solutionVersionArn=theirs)

    assert caught.value.code == "InvalidInputException"


async def test_an_update_of_a_campaign_that_changes_nothing_is_refused(
    dispatcher: OperationDispatcher, store: Database, solution: str
) -> None:
    version = (await perform(dispatcher, "CreateSolutionVersion", solutionArn=solution)).solution_version_arn
    await store.execute(
        "UPDATE resources SET status = 'ACTIVE', facts = facts || $1 WHERE type = 'solution-version'",
        {"model_uri": "s3://endcap-data/shop/models/", "model_sha256": "0" * 64},
    )
    made = await perform(dispatcher, "CreateCampaign", name="home", solutionVersionArn=version)
    arn, exploring = made.campaign_arn, {"itemExplorationConfig": {"explorationWeight": "0.1"}}
    same: list[dict[str, Any]] = [
        {},
        {"solutionVersionArn": version},
        {"solutionVersionArn": f"{solution}/$LATEST"},
        {"campaignConfig": {}},
    ]

    for members in same:
        assert (
            await refused(dispatcher, "UpdateCampaign", campaignArn=arn, **members) == "InvalidInputException"
        )
    described = (await perform(dispatcher, "DescribeCampaign", campaignArn=arn)).campaign
    assert described.latest_campaign_update is None

    for members in ({"campaignConfig": exploring, "solutionVersionArn": version}, {"minProvisionedTPS": 2}):
        await perform(dispatcher, "UpdateCampaign", campaignArn=arn, **members)
        with pytest.raises(WireError, match="the update changes nothing"):
            await perform(dispatcher, "UpdateCampaign", campaignArn=arn, **members)


async def test_algorithms_and_feature_transformations_come_from_the_recipes(
    dispatcher: OperationDispatcher,
) -> None:
    recipe = (await perform(dispatcher, "DescribeRecipe", recipeArn=RECIPE)).recipe

    algorithm = await perform(dispatcher, "DescribeAlgorithm", algorithmArn=recipe.algorithm_arn)
    transformation = await perform(
        dispatcher,
        "DescribeFeatureTransformation",
        featureTransformationArn=recipe.feature_transformation_arn,
    )

    assert algorithm.algorithm.algorithm_arn == recipe.algorithm_arn
    assert transformation.feature_transformation.status == "ACTIVE"
    prefix = "arn:aws:personalize:::"
    sims = (
        await perform(dispatcher, "DescribeAlgorithm", algorithmArn=f"{prefix}algorithm/aws-sims")
    ).algorithm
    assert set(sims.default_hyper_parameters) == {"popularity_discount_factor", "min_cointeraction_count"}
    transformation = await perform(
        dispatcher,
        "DescribeFeatureTransformation",
        featureTransformationArn=f"{prefix}feature-transformation/sims",
    )
    shaping = transformation.feature_transformation.default_parameters
    assert shaping["max_item_interaction_count_percentile"] == "0.9"
    arn = f"{recipe.algorithm_arn}-nothing"
    assert await refused(dispatcher, "DescribeAlgorithm", algorithmArn=arn) == "ResourceNotFoundException"
