"""User segments with boto3: item affinity, item attribute affinity, and what their recipes refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.groups import active_version, checked, dataset_group, imported
from tests.component.engine.shop import INTERACTIONS_SCHEMA, ITEMS_SCHEMA, interactions_csv, items_csv
from tests.support.processes import Process


@pytest.fixture(scope="module")
def shop(engine: Engine, worker: Process) -> dict[str, str]:
    """A shop of four shelves, each with its own customers, and a version of each recipe."""
    arns = dataset_group(engine, "segments", {"Interactions": INTERACTIONS_SCHEMA, "Items": ITEMS_SCHEMA})
    imported(engine, arns["Interactions"], "segments-interactions", interactions_csv())
    imported(engine, arns["Items"], "segments-items", items_csv())
    return arns | {
        name: active_version(engine, arns["group"], name)
        for name in ("aws-item-affinity", "aws-item-attribute-affinity", "aws-similar-items")
    }


def segmented(
    engine: Engine, version: str, name: str, lines: list[str], results: int
) -> list[dict[str, Any]]:
    personalize = engine.personalize
    arn = personalize.create_batch_segment_job(
        jobName=name,
        solutionVersionArn=version,
        numResults=results,
        jobInput={"s3DataSource": {"path": engine.put(f"{name}.json", "\n".join(lines))}},
        jobOutput={"s3DataDestination": {"path": f"s3://{engine.bucket}/{name}/"}},
        roleArn=ROLE,
    )["batchSegmentJobArn"]
    ended = engine.finished(personalize.describe_batch_segment_job, batchSegmentJobArn=arn)
    assert ended["status"] == "ACTIVE", ended
    return [json.loads(line) for line in engine.get(f"{name}/{name}.json.out").splitlines()]


def on_shelf(users: list[str], shelf: int) -> float:
    return sum(int(user[1:]) % 4 == shelf for user in users) / len(users)


def test_an_item_gets_the_users_of_its_category_and_bad_lines_stay_in_place(
    engine: Engine, shop: dict[str, str]
) -> None:
    lines = ['{"itemId": "i5"}', "nonsense", '{"itemId": "nothing"}', '{"itemId": "i10"}']

    answers = segmented(engine, shop["aws-item-affinity"], "by-item", lines, 20)

    assert [answer["error"] is None for answer in answers] == [True, False, False, True]
    assert answers[0]["input"] == {"itemId": "i5"}
    assert answers[2]["output"] is None
    assert "no item nothing" in answers[2]["error"]
    for answer, shelf in ((answers[0], 1), (answers[3], 2)):
        users = answer["output"]["usersList"]
        assert len(set(users)) == 20
        assert on_shelf(users, shelf) > 0.8


def test_attributes_get_the_users_of_the_items_that_have_them(engine: Engine, shop: dict[str, str]) -> None:
    lines = [
        json.dumps({"itemAttributes": 'ITEMS.CATEGORY = "shelf-3"'}),
        json.dumps({"itemAttributes": 'ITEMS.CATEGORY = "shelf-2" AND ITEMS.PRICE = 2.0'}),
        json.dumps({"itemAttributes": 'ITEMS.CATEGORY = "shelf-3" OR ITEMS.PRICE = 2.0'}),
        json.dumps({"itemAttributes": 'ITEMS.COLOUR = "red"'}),
    ]

    answers = segmented(engine, shop["aws-item-attribute-affinity"], "by-attribute", lines, 5_000_000)

    assert [answer["error"] is None for answer in answers] == [True, True, False, False]
    assert on_shelf(answers[0]["output"]["usersList"][:30], 3) == 1
    assert on_shelf(answers[1]["output"]["usersList"][:10], 2) > 0.8
    assert "expected AND at character 28" in answers[2]["error"]
    assert "no column COLOUR" in answers[3]["error"]


def test_segment_metrics_have_the_services_names(engine: Engine, shop: dict[str, str]) -> None:
    for name in ("aws-item-affinity", "aws-item-attribute-affinity"):
        metrics = engine.personalize.get_solution_metrics(solutionVersionArn=shop[name])["metrics"]
        assert set(metrics) == {"coverage", "hits_at_1_percent", "recall_at_1_percent"}
        assert metrics["hits_at_1_percent"] > 0


def test_users_and_items_are_not_mixed_up(engine: Engine, shop: dict[str, str]) -> None:
    personalize = engine.personalize
    places = {
        "jobInput": {"s3DataSource": {"path": f"s3://{engine.bucket}/any.json"}},
        "jobOutput": {"s3DataDestination": {"path": f"s3://{engine.bucket}/any/"}},
        "roleArn": ROLE,
    }
    refused = personalize.exceptions.InvalidInputException

    with pytest.raises(refused, match="batch segment job"):
        personalize.create_campaign(name="users", solutionVersionArn=shop["aws-item-affinity"])
    with pytest.raises(refused, match="batch segment job"):
        personalize.create_batch_inference_job(
            jobName="users", solutionVersionArn=shop["aws-item-attribute-affinity"], **places
        )
    with pytest.raises(refused, match="makes no user segments"):
        personalize.create_batch_segment_job(
            jobName="items", solutionVersionArn=shop["aws-similar-items"], **places
        )


def test_the_answers_have_the_shape_that_botocore_expects(engine: Engine, shop: dict[str, str]) -> None:
    job = checked(
        engine,
        "CreateBatchSegmentJob",
        jobName="segment-shapes",
        solutionVersionArn=shop["aws-item-affinity"],
        jobInput={"s3DataSource": {"path": "s3://endcap-uploads/segments/one.json"}},
        jobOutput={"s3DataDestination": {"path": "s3://endcap-uploads/segments/one/"}},
        roleArn=ROLE,
    )
    described = checked(engine, "DescribeBatchSegmentJob", **job)["batchSegmentJob"]
    listed = checked(engine, "ListBatchSegmentJobs", solutionVersionArn=shop["aws-item-affinity"])

    assert described["numResults"] == 25
    assert job["batchSegmentJobArn"] in {each["batchSegmentJobArn"] for each in listed["batchSegmentJobs"]}
