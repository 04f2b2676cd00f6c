"""Every paginator that boto3 has: seven resources in pages of three are all found, each once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import botocore.session
import pytest
from botocore import xform_name

from services.engine.personalize.operations import TABLE
from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.groups import RECIPES, active_version, dataset_group, imported
from tests.component.engine.shop import (
    INTERACTIONS_SCHEMA,
    ITEMS_SCHEMA,
    interactions_csv,
    items_csv,
)
from tests.support.processes import Process

# Lists hold what was made here, and nothing else.
pytestmark = pytest.mark.own_engine

PAGINATORS = set(botocore.session.get_session().get_paginator_model("personalize")._paginator_config)  # type: ignore[attr-defined]
SEVEN = [f"page-{number}" for number in range(7)]
METRICS = [
    {"eventType": f"type-{number}", "metricName": name, "expression": "SAMPLECOUNT()"}
    for number, name in enumerate(SEVEN)
]


@pytest.fixture(scope="module")
def shop(engine: Engine, worker: Process) -> dict[str, str]:
    """A group with data, and an ACTIVE version of a recipe for users and one for segments."""
    shop = dataset_group(engine, "pages", {"Interactions": INTERACTIONS_SCHEMA, "Items": ITEMS_SCHEMA})
    imported(engine, shop["Interactions"], "pages-interactions", interactions_csv())
    imported(engine, shop["Items"], "pages-items", items_csv())
    shop["version"] = active_version(engine, shop["group"], "aws-user-personalization")
    shop["segments"] = active_version(engine, shop["group"], "aws-item-affinity")
    shop["solution"] = shop["version"].rpartition("/")[0]
    # The rest is about what was asked for, not about what becomes of it.
    worker.kill()
    return shop


class Makers:
    """How seven of each kind are made; each gives what the list is asked with."""

    def __init__(self, engine: Engine, shop: dict[str, str]) -> None:
        self.personalize, self.shop, self.bucket = engine.personalize, shop, engine.bucket
        self.dataset = {"datasetArn": shop["Interactions"]}
        self.output = {"s3DataDestination": {"path": f"s3://{engine.bucket}/output/"}}

    def _groups(self, prefix: str, **members: Any) -> list[str]:
        make = self.personalize.create_dataset_group
        return [make(name=f"{prefix}-{name}", **members)["datasetGroupArn"] for name in SEVEN]

    def dataset_groups(self) -> dict[str, Any]:
        for name in SEVEN:
            self.personalize.create_dataset_group(name=name)
        return {}

    def schemas(self) -> dict[str, Any]:
        for name in SEVEN:
            self.personalize.create_schema(name=name, schema=json.dumps(INTERACTIONS_SCHEMA))
        return {}

    def datasets(self) -> dict[str, Any]:
        schema = self.personalize.create_schema(name="of-pages", schema=json.dumps(INTERACTIONS_SCHEMA))
        for name, group in zip(SEVEN, self._groups("datasets"), strict=True):
            self.personalize.create_dataset(
                name=name, schemaArn=schema["schemaArn"], datasetGroupArn=group, datasetType="INTERACTIONS"
            )
        return {}

    def dataset_import_jobs(self) -> dict[str, Any]:
        for name in SEVEN:
            source = {"dataLocation": "s3://a/b.csv"}
            self.personalize.create_dataset_import_job(
                jobName=name, dataSource=source, roleArn=ROLE, **self.dataset
            )
        return self.dataset

    def dataset_export_jobs(self) -> dict[str, Any]:
        for name in SEVEN:
            self.personalize.create_dataset_export_job(
                jobName=name, roleArn=ROLE, jobOutput=self.output, **self.dataset
            )
        return self.dataset

    def solutions(self) -> dict[str, Any]:
        group = {"datasetGroupArn": self.shop["group"]}
        for name in SEVEN:
            self.personalize.create_solution(
                name=name, recipeArn=f"{RECIPES}/aws-user-personalization", **group
            )
        return group

    def solution_versions(self) -> dict[str, Any]:
        solution = {"solutionArn": self.shop["solution"]}
        for name in SEVEN:
            self.personalize.create_solution_version(name=name, **solution)
        return solution

    def campaigns(self) -> dict[str, Any]:
        for name in SEVEN:
            self.personalize.create_campaign(name=name, solutionVersionArn=self.shop["version"])
        return {"solutionArn": self.shop["solution"]}

    def event_trackers(self) -> dict[str, Any]:
        for name, group in zip(SEVEN, self._groups("trackers"), strict=True):
            self.personalize.create_event_tracker(name=name, datasetGroupArn=group)
        return {}

    def filters(self) -> dict[str, Any]:
        group = {"datasetGroupArn": self.shop["group"]}
        for name in SEVEN:
            expression = 'EXCLUDE ItemID WHERE Interactions.event_type IN ("purchase")'
            self.personalize.create_filter(name=name, filterExpression=expression, **group)
        return group

    def batch_inference_jobs(self) -> dict[str, Any]:
        return self._batches(self.personalize.create_batch_inference_job, self.shop["version"])

    def batch_segment_jobs(self) -> dict[str, Any]:
        return self._batches(self.personalize.create_batch_segment_job, self.shop["segments"])

    def _batches(self, create: Callable[..., Any], version: str) -> dict[str, Any]:
        for name in SEVEN:
            create(
                jobName=name,
                solutionVersionArn=version,
                roleArn=ROLE,
                jobInput={"s3DataSource": {"path": f"s3://{self.bucket}/input.json"}},
                jobOutput=self.output,
            )
        return {"solutionVersionArn": version}

    def recommenders(self) -> dict[str, Any]:
        group = self.personalize.create_dataset_group(name="recommenders", domain="ECOMMERCE")
        arn = {"datasetGroupArn": group["datasetGroupArn"]}
        for name in SEVEN:
            self.personalize.create_recommender(
                name=name, recipeArn=f"{RECIPES}/aws-ecomm-recommended-for-you", **arn
            )
        return arn

    def metric_attributions(self) -> dict[str, Any]:
        for name, group in zip(SEVEN, self._groups("attributions"), strict=True):
            self._attribution(name, group, METRICS[:1])
        return {}

    def metric_attribution_metrics(self) -> dict[str, Any]:
        made = self._attribution("all-of-them", self.shop["group"], METRICS)
        return {"metricAttributionArn": made["metricAttributionArn"]}

    def _attribution(self, name: str, group: str, metrics: list[dict[str, str]]) -> Any:
        return self.personalize.create_metric_attribution(
            name=name, datasetGroupArn=group, metrics=metrics, metricsOutputConfig={"roleArn": ROLE}
        )


@pytest.mark.parametrize("operation", sorted(PAGINATORS & TABLE.keys() - {"ListRecipes"}))
def test_pages_hold_everything_once(engine: Engine, shop: dict[str, str], operation: str) -> None:
    listed = xform_name(operation)
    arguments = getattr(Makers(engine, shop), listed.removeprefix("list_"))()

    listed_names = [
        entry.get("name") or entry.get("jobName") or entry.get("metricName") or entry["solutionVersionArn"]
        for entry in _entries(listed, **arguments)
    ]

    if operation == "ListSolutionVersions":
        # Their names are not among what is listed.
        assert len(listed_names) == len(set(listed_names)) == len(SEVEN) + 1
    else:
        assert sorted(name for name in listed_names if name in SEVEN) == SEVEN
        assert len(listed_names) == len(set(listed_names))


def test_recipes_come_in_pages(engine: Engine) -> None:
    listed_names = [entry["recipeArn"] for entry in _entries("list_recipes")]

    assert len(listed_names) == len(set(listed_names)) > 3
    assert f"{RECIPES}/aws-user-personalization" in listed_names


def _entries(operation: str, **arguments: Any) -> list[dict[str, Any]]:
    paginator = boto3.client("personalize").get_paginator(operation)
    pages = list(paginator.paginate(**arguments, PaginationConfig={"PageSize": 3}))
    [member] = [name for name, value in pages[0].items() if isinstance(value, list)]
    assert max(len(page[member]) for page in pages) <= 3
    assert (member == "Filters") == (operation == "list_filters")
    return [entry for page in pages for entry in page[member]]
