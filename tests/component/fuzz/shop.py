"""What the tenant has before any bad input comes: a resource of every kind, with their names."""

from __future__ import annotations

import json
from typing import Any

from tests.component.engine.conftest import ENDS, ROLE
from tests.component.engine.shop import INTERACTIONS_SCHEMA, ITEMS_SCHEMA, interactions_csv, items_csv
from tests.component.fuzz.installation import Installation
from tests.component.fuzz.other_services import other_services
from tests.support.tenants import SERVICE_KEY
from tests.support.waiting import until

RECIPES = "arn:aws:personalize:::recipe"
USERS_SCHEMA = {
    "type": "record",
    "name": "Users",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [{"name": "USER_ID", "type": "string"}, {"name": "AGE", "type": ["null", "int"]}],
    "version": "1.0",
}
SCHEMAS = {"Interactions": INTERACTIONS_SCHEMA, "Items": ITEMS_SCHEMA, "Users": USERS_SCHEMA}
FILTER = "INCLUDE ItemID WHERE Items.CATEGORY IN ($CATEGORY)"
METRIC = {"eventType": "View", "metricName": "views", "expression": "SAMPLECOUNT()"}
_MOVE = (
    "UPDATE engine.resources SET tenant = $1, status = 'ACTIVE', facts = facts || $3 "
    "WHERE arn = ANY($2) AND type <> 'schema'"
)


def filled(installation: Installation) -> dict[str, str]:
    """Make the resources; gives their ARNs and names by kind."""
    call, tenant = installation.call, installation.tenant
    group = f"arn:aws:personalize:eu-west-1:{tenant.account}:dataset-group/{tenant.name}"
    made = {"group": group, "tracker": tenant.tracker_arn, "place": installation.place}
    for kind, schema in SCHEMAS.items():
        name = f"{tenant.name}-{kind}"
        made[f"{kind}-schema"] = call("CreateSchema", name=name, schema=json.dumps(schema))["schemaArn"]
        made[kind] = call(
            "CreateDataset",
            name=name,
            schemaArn=made[f"{kind}-schema"],
            datasetGroupArn=group,
            datasetType=kind,
        )["datasetArn"]
    made["spare-schema"] = call("CreateSchema", name=f"{tenant.name}-spare", schema=json.dumps(ITEMS_SCHEMA))[
        "schemaArn"
    ]
    _put(installation, "users.json", '{"userId": "u1"}\n')
    for kind, content in (("Interactions", interactions_csv()), ("Items", items_csv())):
        made["import"] = call(
            "CreateDatasetImportJob",
            jobName=f"{kind}-import",
            datasetArn=made[kind],
            dataSource={"dataLocation": _put(installation, f"{kind}.csv", content)},
            roleArn=ROLE,
        )["datasetImportJobArn"]
        _wait(installation, "DatasetImportJob", "datasetImportJob", made["import"])
    _train(installation, made)
    _others(installation, made)
    _jobs(installation, made)
    return made | other_services(installation)


def _train(installation: Installation, made: dict[str, str]) -> None:
    call = installation.call
    for name, recipe in (("user", "aws-user-personalization"), ("similar", "aws-similar-items")):
        made[f"{name}-solution"] = call(
            "CreateSolution",
            name=name,
            datasetGroupArn=made["group"],
            recipeArn=f"{RECIPES}/{recipe}",
            performAutoTraining=False,
        )["solutionArn"]
        made[f"{name}-version"] = call("CreateSolutionVersion", solutionArn=made[f"{name}-solution"])[
            "solutionVersionArn"
        ]
    for name in ("user", "similar"):
        version = made[f"{name}-version"]
        _wait(installation, "SolutionVersion", "solutionVersion", version)
        config = {"enableMetadataWithRecommendations": True}
        made[f"{name}-campaign"] = call(
            "CreateCampaign", name=name, solutionVersionArn=version, campaignConfig=config
        )["campaignArn"]
    made["spare-campaign"] = call("CreateCampaign", name="spare", solutionVersionArn=made["similar-version"])[
        "campaignArn"
    ]
    until(
        lambda: list(
            installation.request("GET", "recommender", "/api/v1/personalize/status")["campaigns"].values()
        ),
        "the recommender has the models",
        enough=lambda answered_by: len(answered_by) == 3 and set(answered_by) == {"model"},
    )


def _others(installation: Installation, made: dict[str, str]) -> None:
    call, group = installation.call, made["group"]
    for name in ("filter", "spare-filter"):
        made[name] = call("CreateFilter", name=name, datasetGroupArn=group, filterExpression=FILTER)[
            "filterArn"
        ]
    made["attribution"] = call(
        "CreateMetricAttribution",
        name="attribution",
        datasetGroupArn=group,
        metrics=[METRIC],
        metricsOutputConfig={"roleArn": ROLE},
    )["metricAttributionArn"]
    for kind, more in (("domain", {"domain": "ECOMMERCE"}), ("empty", {})):
        name = f"{installation.tenant.name}-{kind}"
        made[f"{kind}-group"] = call("CreateDatasetGroup", key=SERVICE_KEY, name=name, **more)[
            "datasetGroupArn"
        ]


def _jobs(installation: Installation, made: dict[str, str]) -> None:
    """Jobs that nobody works on, since the worker has to be stopped by then; some are declared done."""
    installation.worker.kill()
    call, place = installation.call, installation.place
    output = {"s3DataDestination": {"path": f"{place}out/"}}
    batch = {
        "jobInput": {"s3DataSource": {"path": f"{place}users.json"}},
        "jobOutput": output,
        "roleArn": ROLE,
    }
    made["batch"] = call(
        "CreateBatchInferenceJob", jobName="batch", solutionVersionArn=made["user-version"], **batch
    )["batchInferenceJobArn"]
    made["export"] = call(
        "CreateDatasetExportJob", jobName="export", datasetArn=made["Items"], roleArn=ROLE, jobOutput=output
    )["datasetExportJobArn"]
    made["deletion"] = call(
        "CreateDataDeletionJob",
        jobName="deletion",
        datasetGroupArn=made["group"],
        dataSource={"dataLocation": f"{place}users.json"},
        roleArn=ROLE,
    )["dataDeletionJobArn"]
    segments = call(
        "CreateSolution",
        name="segments",
        datasetGroupArn=made["group"],
        recipeArn=f"{RECIPES}/aws-item-affinity",
        performAutoTraining=False,
    )["solutionArn"]
    for name in ("segment-version", "pending-version"):
        made[name] = call("CreateSolutionVersion", solutionArn=segments)["solutionVersionArn"]
    installation.execute(
        ("UPDATE engine.resources SET status = 'ACTIVE' WHERE arn = $1", made["segment-version"]),
    )
    made["segment"] = call(
        "CreateBatchSegmentJob", jobName="segment", solutionVersionArn=made["segment-version"], **batch
    )["batchSegmentJobArn"]
    _of_the_domain(installation, made)


def _of_the_domain(installation: Installation, made: dict[str, str]) -> None:
    """What a dataset group without a domain has none or only one of: made in another group, then moved."""
    group = made["domain-group"]
    recipe = f"{RECIPES}/aws-ecomm-popular-items-by-views"
    for name in ("recommender", "spare-recommender"):
        made[name] = installation.call(
            "CreateRecommender", key=SERVICE_KEY, name=name, datasetGroupArn=group, recipeArn=recipe
        )["recommenderArn"]
    made["spare-tracker"] = installation.call(
        "CreateEventTracker", key=SERVICE_KEY, name="spare", datasetGroupArn=group
    )["eventTrackerArn"]
    made["spare-attribution"] = installation.call(
        "CreateMetricAttribution",
        key=SERVICE_KEY,
        name="spare",
        datasetGroupArn=group,
        metrics=[METRIC],
        metricsOutputConfig={"roleArn": ROLE},
    )["metricAttributionArn"]
    own = ("recommender", "domain-group")
    moved = [made[name] for name in made if name.startswith("spare-") or name in own]
    installation.execute(
        (
            _MOVE,
            installation.tenant.name,
            moved,
            json.dumps(
                {
                    "solution_version_arn": made["segment-version"],
                    "model_uri": "s3://none/none",
                    "model_sha256": "0" * 64,
                }
            ),
        ),
    )


def _put(installation: Installation, key: str, content: str) -> str:
    path = f"{installation.tenant.name}/{key}"
    installation.s3.put_object(Bucket=installation.bucket, Key=path, Body=content.encode())
    return f"{installation.place}{key}"


def _wait(installation: Installation, operation: str, member: str, arn: str) -> None:
    def described() -> Any:
        return installation.call(f"Describe{operation}", **{f"{member}Arn": arn})[member]

    ended = until(described, f"{arn} ended", enough=lambda seen: seen["status"] in ENDS, every=0.2)
    assert ended["status"] == "ACTIVE", ended
