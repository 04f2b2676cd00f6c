"""The wire: typed errors, limits, pages, retries, callers, and the shape of every answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.engine.personalize.operations import TABLE
from tests.component.engine import shapes
from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.refusals import refused
from tests.component.engine.shop import INTERACTIONS_SCHEMA, ITEMS_SCHEMA
from tests.support.deletions import until_deleted
from tests.support.waiting import PATIENCE

# There is no worker, and nobody else's resources are in lists.
pytestmark = pytest.mark.own_engine

RECIPE = "arn:aws:personalize:::recipe/aws-similar-items"

Raw = Callable[..., Any]


@pytest.fixture(scope="module")
def group(engine: Engine) -> str:
    """A dataset group without a worker, so that its jobs stay CREATE PENDING."""
    arn: str = engine.personalize.create_dataset_group(name="wire")["datasetGroupArn"]
    return arn


@pytest.fixture(scope="module")
def dataset(engine: Engine, group: str) -> str:
    """Its interactions."""
    schema = engine.personalize.create_schema(name="wire", schema=json.dumps(INTERACTIONS_SCHEMA))
    arn: str = engine.personalize.create_dataset(
        name="wire", schemaArn=schema["schemaArn"], datasetGroupArn=group, datasetType="Interactions"
    )["datasetArn"]
    return arn


@pytest.fixture
def raw(engine: Engine) -> Raw:
    """A call whose answer is looked at as it comes over the wire."""

    def call(operation: str, **body: Any) -> Any:
        answer = httpx.post(
            engine.server.url,
            json=body,
            headers={
                "x-amz-target": f"AmazonPersonalize.{operation}",
                "x-api-key": engine.environment["ENDCAP_SERVICE_KEY"],
            },
            timeout=PATIENCE,
        )
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-amzn-requestid"]
        return json.loads(answer.content) if answer.content else None

    return call


def test_every_answer_has_the_shape_that_botocore_expects(raw: Raw, engine: Engine) -> None:
    def checked(operation: str, **body: Any) -> Any:
        answer = raw(operation, **body)
        assert shapes.differences(operation, answer) == []
        return answer

    group = checked("CreateDatasetGroup", name="shapes", domain="ECOMMERCE", roleArn=ROLE)["datasetGroupArn"]
    checked("DescribeDatasetGroup", datasetGroupArn=group)
    items = {**ITEMS_SCHEMA, "fields": [*ITEMS_SCHEMA["fields"], _categorical("CATEGORY_L1")]}
    schema = checked("CreateSchema", name="shapes", schema=json.dumps(items), domain="ECOMMERCE")["schemaArn"]
    assert json.loads(checked("DescribeSchema", schemaArn=schema)["schema"]["schema"]) == items
    dataset = checked(
        "CreateDataset", name="shapes", schemaArn=schema, datasetGroupArn=group, datasetType="items"
    )["datasetArn"]
    checked("DescribeDataset", datasetArn=dataset)
    job = checked(
        "CreateDatasetImportJob",
        jobName="shapes",
        datasetArn=dataset,
        dataSource={"dataLocation": "s3://endcap-uploads/shapes/a.csv"},
        roleArn=ROLE,
        publishAttributionMetricsToS3=False,
        tags=[{"tagKey": "a", "tagValue": "b"}],
    )["datasetImportJobArn"]
    described = checked("DescribeDatasetImportJob", datasetImportJobArn=job)["datasetImportJob"]
    assert described["status"] == "CREATE PENDING"
    assert described["importMode"] == "FULL"
    solution = checked(
        "CreateSolution",
        name="shapes",
        datasetGroupArn=group,
        recipeArn=RECIPE,
        eventType="Purchase",
        performAutoTraining=False,
        solutionConfig={
            "eventValueThreshold": "0.5",
            "algorithmHyperParameters": {"shrinkage": "10"},
            "eventsConfig": {"eventParametersList": [{"eventType": "View", "weight": 0.1}]},
            "trainingDataConfig": {"excludedDatasetColumns": {"ITEMS": ["PRICE"]}},
        },
    )["solutionArn"]
    version = checked("CreateSolutionVersion", solutionArn=solution)["solutionVersionArn"]
    checked("DescribeSolutionVersion", solutionVersionArn=version)
    assert checked("DescribeSolution", solutionArn=solution)["solution"]["latestSolutionVersion"]
    tracker = checked("CreateEventTracker", name="shapes", datasetGroupArn=group)
    described = checked("DescribeEventTracker", eventTrackerArn=tracker["eventTrackerArn"])["eventTracker"]
    assert described["trackingId"] == tracker["trackingId"]
    wider = {**items, "fields": [*items["fields"], {"name": "NAME", "type": ["null", "string"]}]}
    schema = checked("CreateSchema", name="wider", schema=json.dumps(wider), domain="ECOMMERCE")["schemaArn"]
    checked("UpdateDataset", datasetArn=dataset, schemaArn=schema)
    assert checked("DescribeDataset", datasetArn=dataset)["dataset"]["latestDatasetUpdate"]
    schedule = {"autoTrainingConfig": {"schedulingExpression": "rate(2 days)"}}
    checked("UpdateSolution", solutionArn=solution, solutionUpdateConfig=schedule, performAutoTraining=True)
    assert checked("DescribeSolution", solutionArn=solution)["solution"]["latestSolutionUpdate"]
    checked("StopSolutionVersionCreation", solutionVersionArn=version)
    checked("DescribeSolutionVersion", solutionVersionArn=version)
    recipe = checked("DescribeRecipe", recipeArn=RECIPE)["recipe"]
    checked("DescribeAlgorithm", algorithmArn=recipe["algorithmArn"])
    checked("DescribeFeatureTransformation", featureTransformationArn=recipe["featureTransformationArn"])
    checked("TagResource", resourceArn=job, tags=[{"tagKey": "c", "tagValue": "d"}])
    checked("UntagResource", resourceArn=job, tagKeys=["a"])
    assert checked("ListTagsForResource", resourceArn=job)["tags"] == [{"tagKey": "c", "tagValue": "d"}]
    expression = 'EXCLUDE ItemID WHERE Items.CATEGORY_L1 = "a"'
    body = {"name": "shapes", "datasetGroupArn": group, "filterExpression": expression}
    chosen = checked("CreateFilter", **body)["filterArn"]
    assert checked("DescribeFilter", filterArn=chosen)["filter"]["filterExpression"] == expression
    for operation in shapes.LISTS:
        checked(operation)
    checked("DeleteFilter", filterArn=chosen)
    checked("DeleteEventTracker", eventTrackerArn=tracker["eventTrackerArn"])
    until_deleted(engine.personalize.describe_event_tracker, eventTrackerArn=tracker["eventTrackerArn"])


def test_every_answer_is_compared_with_botocores_model_somewhere() -> None:
    """Here, or where what an operation is about can be made."""
    sources = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    walked = set(re.findall(r'checked\(\s*(?:engine,\s*)?"(\w+)"', sources)) | set(shapes.LISTS)

    assert {name for name, row in TABLE.items() if row.answer} <= walked


def _categorical(name: str) -> dict[str, Any]:
    return {"name": name, "type": "string", "categorical": True}


def test_names_are_taken_once(engine: Engine, group: str, dataset: str) -> None:
    personalize = engine.personalize
    taken = "ResourceAlreadyExistsException"
    text = json.dumps(INTERACTIONS_SCHEMA)

    refused(taken, personalize.create_dataset_group, name="wire")
    refused(taken, personalize.create_schema, name="wire", schema=text)
    schema = personalize.describe_dataset(datasetArn=dataset)["dataset"]["schemaArn"]
    message = refused(
        taken,
        personalize.create_dataset,
        name="b",
        schemaArn=schema,
        datasetGroupArn=group,
        datasetType="interactions",
    )
    assert "has a dataset of type INTERACTIONS already" in message


def test_a_group_has_one_tracker(engine: Engine, group: str) -> None:
    personalize = engine.personalize
    first = personalize.create_event_tracker(name="wire", datasetGroupArn=group)

    refused(
        "ResourceAlreadyExistsException",
        personalize.create_event_tracker,
        name="wire-2",
        datasetGroupArn=group,
    )

    personalize.delete_event_tracker(eventTrackerArn=first["eventTrackerArn"])
    until_deleted(personalize.describe_event_tracker, eventTrackerArn=first["eventTrackerArn"])


def test_what_is_used_can_not_be_deleted(engine: Engine, group: str, dataset: str) -> None:
    personalize = engine.personalize
    schema = personalize.describe_dataset(datasetArn=dataset)["dataset"]["schemaArn"]

    in_use = "ResourceInUseException"
    assert "delete that first" in refused(in_use, personalize.delete_dataset_group, datasetGroupArn=group)
    assert "delete them first" in refused(in_use, personalize.delete_schema, schemaArn=schema)


def test_a_version_that_is_not_trained_can_not_be_used(engine: Engine, group: str, dataset: str) -> None:
    personalize = engine.personalize
    solution = personalize.create_solution(
        name="wire-untrained", datasetGroupArn=group, recipeArn=RECIPE, performHPO=True
    )
    version = personalize.create_solution_version(solutionArn=solution["solutionArn"])["solutionVersionArn"]

    in_use = "ResourceInUseException"
    refused(in_use, personalize.get_solution_metrics, solutionVersionArn=version)
    refused(in_use, personalize.create_campaign, name="early", solutionVersionArn=version)
    refused(
        "InvalidInputException",
        personalize.create_campaign,
        name="early",
        solutionVersionArn=f"{solution['solutionArn']}/$LATEST",
    )
    refused(in_use, personalize.delete_solution, solutionArn=solution["solutionArn"])
    assert "is being trained" in refused(in_use, personalize.delete_dataset, datasetArn=dataset)
    described = personalize.describe_solution_version(solutionVersionArn=version)["solutionVersion"]
    assert "tunedHPOParams" not in described
    refused(
        "InvalidInputException",
        personalize.create_solution_version,
        solutionArn=solution["solutionArn"],
        trainingMode="UPDATE",
    )


def test_a_repeated_call_changes_nothing_and_gets_the_first_answer(engine: Engine) -> None:
    headers = {
        "x-amz-target": "AmazonPersonalize.CreateEventTracker",
        "amz-sdk-invocation-id": "5b5f5f0e-0001",
        "x-api-key": engine.environment["ENDCAP_SERVICE_KEY"],
    }
    group = engine.personalize.create_dataset_group(name="repeated")["datasetGroupArn"]
    body = {"name": "repeated", "datasetGroupArn": group}

    first = httpx.post(engine.server.url, json=body, headers=headers, timeout=PATIENCE)
    second = httpx.post(engine.server.url, json=body, headers=headers, timeout=PATIENCE)
    headers["x-amz-target"] = "AmazonPersonalize.DeleteEventTracker"
    gone = [
        httpx.post(
            engine.server.url,
            json={"eventTrackerArn": first.json()["eventTrackerArn"]},
            headers=headers,
            timeout=PATIENCE,
        )
        for _ in range(2)
    ]

    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert [answer.status_code for answer in gone] == [200, 200]


def test_answers_depend_on_the_caller(engine: Engine, group: str) -> None:
    def call(operation: str, body: dict[str, Any], **headers: str) -> httpx.Response:
        target = {"x-amz-target": f"AmazonPersonalize.{operation}"}
        return httpx.post(engine.server.url, json=body, headers=target | headers, timeout=PATIENCE)

    nobody = call("ListDatasetGroups", {})
    reader = call("ListDatasetGroups", {}, **{"x-api-key": engine.keys["read"]})
    admin = call("ListDatasetGroups", {}, **{"x-api-key": engine.keys["admin"]})
    foreign = call("DescribeDatasetGroup", {"datasetGroupArn": group}, **{"x-api-key": engine.keys["admin"]})
    maker = call("CreateDatasetGroup", {"name": "mine"}, **{"x-api-key": engine.keys["admin"]})

    assert (nobody.status_code, nobody.json()["__type"]) == (400, "MissingAuthenticationTokenException")
    assert reader.json()["__type"] == "AccessDeniedException"
    assert [entry["name"] for entry in admin.json()["datasetGroups"]] == ["default"]
    assert foreign.json()["__type"] == "ResourceNotFoundException"
    assert maker.json()["__type"] == "AccessDeniedException"
