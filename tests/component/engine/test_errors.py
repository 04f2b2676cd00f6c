"""Typed errors of the control plane, as boto3 raises them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import httpx
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

from services.engine.personalize.operations import TABLE
from tests.component.engine import shapes
from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.refusals import NOBODY, refused
from tests.component.engine.shop import INTERACTIONS_SCHEMA, ITEMS_SCHEMA
from tests.support.waiting import PATIENCE

RECIPE = "arn:aws:personalize:::recipe/aws-similar-items"


@pytest.fixture(scope="module")
def group(engine: Engine) -> str:
    """A dataset group whose requests fail."""
    arn: str = engine.personalize.create_dataset_group(name="errors")["datasetGroupArn"]
    return arn


@pytest.fixture(scope="module")
def dataset(engine: Engine, group: str) -> str:
    """Its interactions."""
    schema = engine.personalize.create_schema(name="errors", schema=json.dumps(INTERACTIONS_SCHEMA))
    arn: str = engine.personalize.create_dataset(
        name="errors", schemaArn=schema["schemaArn"], datasetGroupArn=group, datasetType="Interactions"
    )["datasetArn"]
    return arn


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("describe_dataset_group", {"datasetGroupArn": f"{NOBODY}:dataset-group/nothing"}),
        ("describe_schema", {"schemaArn": f"{NOBODY}:schema/nothing"}),
        ("describe_solution", {"solutionArn": f"{NOBODY}:solution/nothing"}),
        ("describe_solution_version", {"solutionVersionArn": f"{NOBODY}:solution/nothing/12345678"}),
        ("describe_recipe", {"recipeArn": "arn:aws:personalize:::recipe/aws-nothing"}),
        ("describe_campaign", {"campaignArn": f"{NOBODY}:campaign/nothing"}),
        ("delete_event_tracker", {"eventTrackerArn": f"{NOBODY}:event-tracker/12345678"}),
        ("list_solution_versions", {"solutionArn": f"{NOBODY}:solution/nothing"}),
    ],
)
def test_what_is_not_there_is_not_found(engine: Engine, operation: str, arguments: dict[str, str]) -> None:
    personalize = engine.personalize

    message = refused("ResourceNotFoundException", getattr(personalize, operation), **arguments)

    assert "There is no" in message


PARENTS = {
    "datasetGroupArn": "dataset-group/nothing",
    "datasetArn": "dataset/nothing/ITEMS",
    "solutionArn": "solution/nothing",
    "solutionVersionArn": "solution/nothing/12345678",
    "metricAttributionArn": "metric-attribution/nothing",
    "resourceArn": "campaign/nothing",
}


def test_a_list_of_what_is_not_there_is_refused_with_an_error_that_it_declares(engine: Engine) -> None:
    codes = set()
    for operation in (name for name in TABLE if name.startswith("List")):
        members = shapes.MODEL.operation_model(operation).input_shape.members.keys()
        for member in members & PARENTS.keys():
            with pytest.raises(ClientError, match="There is no") as caught:
                getattr(engine.personalize, xform_name(operation))(**{member: f"{NOBODY}:{PARENTS[member]}"})
            code = caught.value.response["Error"]["Code"]
            assert code in TABLE[operation].declared, operation
            codes.add(code)

    assert codes == {"InvalidInputException", "ResourceNotFoundException"}


@pytest.mark.parametrize(
    ("operation", "arguments", "sentence"),
    [
        ("create_dataset_group", {"name": "two words"}, "name"),
        ("create_dataset_group", {"name": "a" * 64}, "name"),
        ("create_dataset_group", {"name": "a", "domain": "GROCERY"}, "domain"),
        ("create_dataset_group", {"name": "a", "domain": "VIDEO_ON_DEMAND"}, "not supported"),
        ("create_schema", {"name": "a", "schema": "no json"}, "not valid JSON"),
        ("describe_solution", {"solutionArn": "nope"}, "solutionArn"),
        ("describe_solution", {"solutionArn": f"{NOBODY}:campaign/a"}, "expected a solution"),
        ("list_solutions", {"maxResults": 101}, "maxResults"),
        ("create_solution", {"name": "a", "datasetGroupArn": "nope"}, "datasetGroupArn"),
    ],
)
def test_the_server_checks_what_boto3_does_not(
    engine: Engine, operation: str, arguments: dict[str, Any], sentence: str
) -> None:
    message = refused("InvalidInputException", getattr(engine.personalize, operation), **arguments)

    assert sentence in message


def test_declined_requests_say_so(engine: Engine, group: str) -> None:
    personalize = engine.personalize
    path = {"path": f"s3://{engine.bucket}/themes/"}
    requests: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (personalize.create_solution, {"datasetGroupArn": group, "performAutoML": True}),
        (
            personalize.create_dataset,
            {"datasetGroupArn": group, "schemaArn": f"{NOBODY}:schema/a", "datasetType": "Actions"},
        ),
        (personalize.create_schema, {"schema": "{}", "domain": "VIDEO_ON_DEMAND"}),
    ]

    for call, arguments in requests:
        assert "not supported by Endcap" in refused("InvalidInputException", call, name="no", **arguments)
    message = refused(
        "InvalidInputException",
        personalize.create_batch_inference_job,
        jobName="themes",
        solutionVersionArn=f"{NOBODY}:solution/a/12345678",
        roleArn=ROLE,
        jobInput={"s3DataSource": path},
        jobOutput={"s3DataDestination": path},
        batchInferenceJobMode="THEME_GENERATION",
    )
    assert "not supported by Endcap" in message


def test_tag_keys_that_begin_with_aws_are_refused(engine: Engine, group: str) -> None:
    personalize, invalid = engine.personalize, "InvalidInputException"
    reserved = {"tagKey": "aws:stack", "tagValue": "shop"}

    for message in (
        refused(invalid, personalize.create_dataset_group, name="tagged", tags=[reserved]),
        refused(invalid, personalize.tag_resource, resourceArn=group, tags=[reserved]),
        refused(invalid, personalize.untag_resource, resourceArn=group, tagKeys=["aws:stack"]),
    ):
        assert "must not begin with aws:" in message


def test_a_schema_that_is_called_after_another_dataset_is_refused(engine: Engine, group: str) -> None:
    personalize = engine.personalize
    text = json.dumps(ITEMS_SCHEMA | {"name": "Interactions"})
    schema = personalize.create_schema(name="misnamed", schema=text)["schemaArn"]

    message = refused(
        "InvalidInputException",
        personalize.create_dataset,
        name="misnamed",
        schemaArn=schema,
        datasetGroupArn=group,
        datasetType="Items",
    )

    assert "The schema's name is Interactions, so it is not for ITEMS" in message


def test_an_arn_of_another_account_and_region_finds_the_same_resource(engine: Engine, group: str) -> None:
    copied = group.replace("eu-west-1:000000000000", "us-west-2:999999999999")

    described = engine.personalize.describe_dataset_group(datasetGroupArn=copied)["datasetGroup"]

    assert described["datasetGroupArn"] == group


def test_another_tenants_prefix_is_refused(engine: Engine, dataset: str) -> None:
    message = refused(
        "InvalidInputException",
        engine.personalize.create_dataset_import_job,
        jobName="theirs",
        datasetArn=dataset,
        dataSource={"dataLocation": "s3://endcap-data/default/runs/1/items.csv"},
        roleArn=ROLE,
    )

    assert message.startswith("Invalid Data location.")
    assert "belongs to another tenant" in message


def test_a_token_that_was_tampered_with_is_refused(engine: Engine, group: str) -> None:
    personalize = engine.personalize
    for number in range(2):
        personalize.create_schema(name=f"token-{number}", schema=json.dumps(INTERACTIONS_SCHEMA))
    token = personalize.list_schemas(maxResults=1)["nextToken"]
    wrong = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")

    refused("InvalidNextTokenException", personalize.list_schemas, nextToken=wrong)
    refused("InvalidNextTokenException", personalize.list_solutions, nextToken=token)


def test_a_wrong_secret_is_refused(engine: Engine) -> None:
    stranger = boto3.client(
        "personalize",
        aws_access_key_id=engine.keys["access_key_id"],
        aws_secret_access_key="wrong",
        config=Config(retries={"max_attempts": 1}),
    )

    with pytest.raises(ClientError, match="InvalidSignatureException"):
        stranger.list_dataset_groups()


def test_an_unknown_operation_is_named(engine: Engine) -> None:
    answer = httpx.post(
        engine.server.url,
        json={},
        headers={
            "x-amz-target": "AmazonPersonalize.ListWishes",
            "x-api-key": engine.environment["ENDCAP_SERVICE_KEY"],
        },
        timeout=PATIENCE,
    )

    assert (answer.status_code, answer.json()["__type"]) == (400, "UnknownOperationException")
