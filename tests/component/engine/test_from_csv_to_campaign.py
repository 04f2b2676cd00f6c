"""An unmodified boto3 program: from a CSV file to metrics and a batch."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import httpx
import pytest

from tests.component.engine import shapes
from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.shop import INTERACTIONS_SCHEMA, ITEMS_SCHEMA, interactions_csv, items_csv
from tests.support.deletions import until_deleted
from tests.support.processes import Process
from tests.support.waiting import PATIENCE

RECIPES = "arn:aws:personalize:::recipe"
METRICS = {
    "coverage",
    "mean_reciprocal_rank_at_25",
    *(f"normalized_discounted_cumulative_gain_at_{k}" for k in (5, 10, 25)),
    *(f"precision_at_{k}" for k in (5, 10, 25)),
}


@pytest.fixture(scope="module")
def shop(engine: Engine, worker: Process) -> dict[str, Any]:
    """A dataset group with imported interactions and items, and a trained version."""
    personalize = engine.personalize
    group = personalize.create_dataset_group(name="shop")["datasetGroupArn"]
    assert engine.finished(personalize.describe_dataset_group, datasetGroupArn=group)["status"] == "ACTIVE"
    arns = {"group": group}
    for kind, schema, content in (
        ("Interactions", INTERACTIONS_SCHEMA, interactions_csv()),
        ("Items", ITEMS_SCHEMA, items_csv() + "i-unmet,shelf-0,1\n"),
    ):
        schema_arn = personalize.create_schema(name=f"shop-{kind}", schema=json.dumps(schema))["schemaArn"]
        dataset = personalize.create_dataset(
            name=f"shop-{kind}", schemaArn=schema_arn, datasetGroupArn=group, datasetType=kind
        )["datasetArn"]
        job = personalize.create_dataset_import_job(
            jobName=f"shop-{kind}",
            datasetArn=dataset,
            dataSource={"dataLocation": engine.put(f"{kind.lower()}.csv", content)},
            roleArn=ROLE,
        )["datasetImportJobArn"]
        ended = engine.finished(personalize.describe_dataset_import_job, datasetImportJobArn=job)
        assert ended["status"] == "ACTIVE", ended
        arns |= {kind: dataset, f"{kind}-import": job}
    solution = personalize.create_solution(
        name="shop",
        datasetGroupArn=group,
        recipeArn=f"{RECIPES}/aws-user-personalization",
        performHPO=True,
        solutionConfig={"algorithmHyperParameters": {"hidden_dimension": "43"}},
    )["solutionArn"]
    version = personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    ended = engine.finished(personalize.describe_solution_version, solutionVersionArn=version)
    assert ended["status"] == "ACTIVE", ended
    return arns | {"solution": solution, "version": version}


def test_the_resources_are_described_as_the_service_does(engine: Engine, shop: dict[str, Any]) -> None:
    personalize = engine.personalize

    dataset = personalize.describe_dataset(datasetArn=shop["Interactions"])["dataset"]
    solution = personalize.describe_solution(solutionArn=shop["solution"])["solution"]
    version = personalize.describe_solution_version(solutionVersionArn=shop["version"])["solutionVersion"]

    assert dataset["datasetType"] == "INTERACTIONS"
    assert dataset["datasetArn"].endswith(":dataset/shop/INTERACTIONS")
    assert solution["latestSolutionVersion"]["solutionVersionArn"] == shop["version"]
    assert version["name"] == shop["version"].split(":solution/")[1]
    assert version["trainingMode"] == "FULL"
    assert version["trainingHours"] > 0
    tuned = version["tunedHPOParams"]["algorithmHyperParameters"]
    assert tuned == {"exclude_seen": "auto", "hidden_dimension": "43"}


def test_the_metrics_have_the_services_names(engine: Engine, shop: dict[str, Any]) -> None:
    metrics = engine.personalize.get_solution_metrics(solutionVersionArn=shop["version"])["metrics"]

    assert set(metrics) == METRICS
    assert all(0 <= value <= 1 and round(value, 4) == value for value in metrics.values())
    assert metrics["precision_at_25"] > 0


def test_a_batch_answers_every_line_in_its_place(engine: Engine, shop: dict[str, Any]) -> None:
    personalize = engine.personalize
    lines = ['{"userId": "u1"}', "nonsense", '{"userId": "nobody"}', '{"user": "u2"}', '{"userId": "u3"}']
    source = engine.put("batch/users.json", "\n".join(lines) + "\n")

    job = personalize.create_batch_inference_job(
        jobName="shop-batch",
        solutionVersionArn=shop["version"],
        numResults=10,
        jobInput={"s3DataSource": {"path": source}},
        jobOutput={"s3DataDestination": {"path": f"s3://{engine.bucket}/answers/"}},
        roleArn=ROLE,
    )["batchInferenceJobArn"]

    ended = engine.finished(personalize.describe_batch_inference_job, batchInferenceJobArn=job)
    assert ended["status"] == "ACTIVE", ended
    answers = [json.loads(line) for line in engine.get("answers/users.json.out").splitlines()]
    assert [answer["error"] is None for answer in answers] == [True, False, True, False, True]
    assert answers[0]["input"] == {"userId": "u1"}
    assert answers[1]["output"] is None
    output = answers[0]["output"]
    assert len(set(output["recommendedItems"])) == 10
    assert output["scores"] == sorted(output["scores"], reverse=True)
    assert answers[2]["output"]["recommendedItems"]


def test_a_batch_explores_where_its_configuration_says_so(engine: Engine, shop: dict[str, Any]) -> None:
    """All items are younger than the cut-off, and one that nobody has met is lifted most."""
    source = engine.put("explored.json", "".join(f'{{"userId": "u{user}"}}\n' for user in range(120)))
    answers = {}
    for weight in ("none", "0", "1"):
        config = {} if weight == "none" else {"itemExplorationConfig": {"explorationWeight": weight}}
        job = engine.personalize.create_batch_inference_job(
            jobName=f"explored-{weight}",
            solutionVersionArn=shop["version"],
            numResults=10,
            jobInput={"s3DataSource": {"path": source}},
            jobOutput={"s3DataDestination": {"path": f"s3://{engine.bucket}/explored-{weight}/"}},
            batchInferenceJobConfig=config,
            roleArn=ROLE,
        )["batchInferenceJobArn"]
        ended = engine.finished(engine.personalize.describe_batch_inference_job, batchInferenceJobArn=job)
        assert ended["status"] == "ACTIVE", ended
        lines = engine.get(f"explored-{weight}/explored.json.out").splitlines()
        answers[weight] = [json.loads(line)["output"]["recommendedItems"] for line in lines]

    assert answers["0"] == answers["none"]
    assert all("i-unmet" not in items for items in answers["none"])
    assert any("i-unmet" in items for items in answers["1"])


def test_a_folder_of_inputs_makes_a_folder_of_outputs(engine: Engine, shop: dict[str, Any]) -> None:
    personalize = engine.personalize
    for name in ("a.json", "b.json"):
        engine.put(f"many/{name}", '{"userId": "u1"}\n')
    # A folder, and the beginning of keys.
    targets = {"many/": "many-answers/", "many/b": "prefix-answers/"}

    jobs = [
        personalize.create_batch_inference_job(
            jobName=f"shop-{target.removesuffix('/')}",
            solutionVersionArn=shop["version"],
            jobInput={"s3DataSource": {"path": f"s3://{engine.bucket}/{source}"}},
            jobOutput={"s3DataDestination": {"path": f"s3://{engine.bucket}/{target}"}},
            roleArn=ROLE,
        )["batchInferenceJobArn"]
        for source, target in targets.items()
    ]

    for job in jobs:
        ended = engine.finished(personalize.describe_batch_inference_job, batchInferenceJobArn=job)
        assert ended["status"] == "ACTIVE"
    assert engine.get("many-answers/a.json.out") == engine.get("many-answers/b.json.out")
    assert engine.get("prefix-answers/b.json.out") == engine.get("many-answers/b.json.out")
    answer = json.loads(engine.get("many-answers/a.json.out"))
    assert len(answer["output"]["recommendedItems"]) == 25


@pytest.mark.parametrize(
    ("source", "target", "sentence"),
    [
        ("nothing.json", "answers/", "Invalid S3 input path."),
        ("there.json", "s3://no-such-bucket-here/answers/", "Invalid S3 output path."),
    ],
)
def test_a_batch_with_a_wrong_place_fails_with_the_services_words(
    engine: Engine, shop: dict[str, Any], source: str, target: str, sentence: str
) -> None:
    engine.put("there.json", '{"userId": "u1"}')
    target = target if target.startswith("s3:") else f"s3://{engine.bucket}/{target}"

    job = engine.personalize.create_batch_inference_job(
        jobName=f"wrong-{source.removesuffix('.json')}",
        solutionVersionArn=shop["version"],
        jobInput={"s3DataSource": {"path": f"s3://{engine.bucket}/{source}"}},
        jobOutput={"s3DataDestination": {"path": target}},
        roleArn=ROLE,
    )["batchInferenceJobArn"]

    ended = engine.finished(engine.personalize.describe_batch_inference_job, batchInferenceJobArn=job)
    assert ended["status"] == "CREATE FAILED"
    assert ended["failureReason"].startswith(sentence)


def test_people_see_how_far_the_jobs_are(engine: Engine, shop: dict[str, Any]) -> None:
    request = urllib.request.Request(
        f"{engine.server.url}/v1/status?limit=200", headers={"x-api-key": engine.keys["read"]}
    )
    # The default tenant's key shows the default tenant's jobs: it has none.
    assert json.load(urllib.request.urlopen(request)) == {"jobs": []}

    request.add_header("x-api-key", engine.environment["ENDCAP_SERVICE_KEY"])
    request.add_header("x-endcap-tenant", "shop")
    jobs = json.load(urllib.request.urlopen(request))["jobs"]

    [trained] = [job for job in jobs if job["arn"] == shop["version"]]
    assert trained["status"] == "ACTIVE"
    assert trained["share"] == 1.0
    assert trained["warnings"] == []
    assert trained["details"]["interactions"] == 1800
    assert trained["details"]["notes"]
    assert trained["attempts"] == 1


def test_the_rest_of_the_answers_has_the_shape_that_botocore_expects(
    engine: Engine, shop: dict[str, Any]
) -> None:
    def checked(operation: str, **body: Any) -> Any:
        headers = {
            "x-amz-target": f"AmazonPersonalize.{operation}",
            "x-api-key": engine.environment["ENDCAP_SERVICE_KEY"],
        }
        answer = httpx.post(engine.server.url, json=body, headers=headers, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        found = answer.json() if answer.content else None
        assert shapes.differences(operation, found) == []
        return found

    version = {"solutionVersionArn": shop["version"]}
    checked("GetSolutionMetrics", **version)
    checked("DescribeSolutionVersion", **version)
    checked("DescribeSolution", solutionArn=shop["solution"])
    engine.s3.put_object(Bucket="endcap-uploads", Key="shop/one.json", Body=b'{"userId": "u1"}')
    batch = checked(
        "CreateBatchInferenceJob",
        jobName="shapes",
        jobInput={"s3DataSource": {"path": "s3://endcap-uploads/shop/one.json"}},
        jobOutput={"s3DataDestination": {"path": "s3://endcap-uploads/shop/one/"}},
        roleArn=ROLE,
        batchInferenceJobConfig={"itemExplorationConfig": {"explorationWeight": "0"}},
        **version,
    )
    campaign = checked(
        "CreateCampaign",
        name="shapes",
        campaignConfig={"itemExplorationConfig": {"explorationWeight": "0"}},
        **version,
    )
    engine.finished(engine.personalize.describe_batch_inference_job, **batch)
    checked("DescribeBatchInferenceJob", **batch)
    checked("UpdateCampaign", **campaign, minProvisionedTPS=2)
    checked("DescribeCampaign", **campaign)
    for operation in shapes.LISTS:
        checked(operation)
    checked("DeleteCampaign", **campaign)
    until_deleted(engine.personalize.describe_campaign, **campaign)


def test_everything_is_taken_down_in_the_guides_order(engine: Engine, shop: dict[str, Any]) -> None:
    personalize = engine.personalize
    for solution in personalize.list_solutions(datasetGroupArn=shop["group"])["solutions"]:
        arn = solution["solutionArn"]
        for campaign in personalize.list_campaigns(solutionArn=arn)["campaigns"]:
            personalize.delete_campaign(campaignArn=campaign["campaignArn"])
            until_deleted(personalize.describe_campaign, campaignArn=campaign["campaignArn"])
        personalize.delete_solution(solutionArn=arn)
        until_deleted(personalize.describe_solution, solutionArn=arn)
    for kind in ("Interactions", "Items"):
        schema = personalize.describe_dataset(datasetArn=shop[kind])["dataset"]["schemaArn"]
        personalize.delete_dataset(datasetArn=shop[kind])
        until_deleted(personalize.describe_dataset, datasetArn=shop[kind])
        personalize.delete_schema(schemaArn=schema)
    personalize.delete_dataset_group(datasetGroupArn=shop["group"])
    until_deleted(personalize.describe_dataset_group, datasetGroupArn=shop["group"])

    missing = personalize.exceptions.ResourceNotFoundException
    for describe, arn in (
        (personalize.describe_dataset_group, {"datasetGroupArn": shop["group"]}),
        (personalize.describe_dataset, {"datasetArn": shop["Items"]}),
        (personalize.describe_dataset_import_job, {"datasetImportJobArn": shop["Items-import"]}),
        (personalize.describe_solution, {"solutionArn": shop["solution"]}),
        (personalize.describe_solution_version, {"solutionVersionArn": shop["version"]}),
    ):
        with pytest.raises(missing):
            describe(**arn)
