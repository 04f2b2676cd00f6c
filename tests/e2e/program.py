"""A program of the shop, written for Amazon Personalize: what it makes, and how it asks."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import asyncpg
import boto3
from botocore.config import Config

from tests.component.engine.shop import INTERACTIONS_SCHEMA, ITEMS_SCHEMA, USERS, interactions_csv, items_csv
from tests.support.product import Endcap
from tests.support.waiting import until

ROLE = "arn:aws:iam::123456789012:role/PersonalizeRole"
RECIPE = "arn:aws:personalize:::recipe/aws-user-personalization"
USERS_SCHEMA = {
    "type": "record",
    "name": "Users",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [{"name": "USER_ID", "type": "string"}, {"name": "AGE", "type": ["null", "int"]}],
    "version": "1.0",
}
STATUSES = {"CREATE PENDING", "CREATE IN_PROGRESS", "ACTIVE"}


@dataclass
class Program:
    """What a program of the shop holds: a group that was imported and trained, with its campaign."""

    endcap: Endcap
    name: str
    group: str
    datasets: dict[str, str]
    schemas: list[str]
    solution: str
    version: str
    campaign: str
    tracking_id: str

    def recommended(self, user: str, count: int = 10) -> list[str]:
        """Items for a user, or a session."""
        answer = boto3.client("personalize-runtime").get_recommendations(
            campaignArn=self.campaign, userId=user, numResults=count
        )
        return [item["itemId"] for item in answer["itemList"]]

    def put_event(self, item: str, *, session: str, kind: str = "View", **user: str) -> None:
        """One event of now."""
        boto3.client("personalize-events").put_events(
            trackingId=self.tracking_id,
            sessionId=session,
            eventList=[{"eventType": kind, "itemId": item, "sentAt": time.time()}],
            **user,
        )

    def rows(self, sql: str, *arguments: Any) -> list[dict[str, Any]]:
        """Ask the database as its administrator; $1 is the tenant."""
        return asyncio.run(_rows(self.endcap.environment["DATABASE_URL"], sql, self.name, *arguments))

    def stored(self, user: str) -> list[dict[str, Any]]:
        """A user's events in the log, once they are there."""
        sql = "SELECT * FROM tracker.interactions WHERE tenant = $1 AND user_id = $2 ORDER BY event_id"
        found: list[dict[str, Any]] = until(lambda: self.rows(sql, user), f"an event of {user} is in the log")
        return found


async def _rows(url: str, sql: str, *arguments: Any) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(url)
    try:
        return [dict(row) for row in await connection.fetch(sql, *arguments)]
    finally:
        await connection.close()


def until_active(describe: Callable[..., Any], **arn: str) -> None:
    """Poll as every program does."""

    def described() -> dict[str, Any]:
        answer = describe(**arn)
        [found] = [value for name, value in answer.items() if name != "ResponseMetadata"]
        assert found["status"] in STATUSES, found
        return dict(found)

    until(described, f"{arn} is active", enough=lambda found: found["status"] == "ACTIVE", every=0.2)


def train(solution: str, mode: str = "FULL") -> str:
    """A new version of a solution."""
    personalize = boto3.client("personalize")
    arn: str = personalize.create_solution_version(solutionArn=solution, trainingMode=mode)[
        "solutionVersionArn"
    ]
    until_active(personalize.describe_solution_version, solutionVersionArn=arn)
    return arn


def make_program(endcap: Endcap) -> Program:
    """Import, train and deploy, as every tutorial does."""
    personalize, s3 = boto3.client("personalize"), boto3.client("s3")
    name = f"program-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    group = personalize.create_dataset_group(name=name)["datasetGroupArn"]
    until_active(personalize.describe_dataset_group, datasetGroupArn=group)
    datasets, schemas = _imported(name, group)
    solution = personalize.create_solution(
        name=name, datasetGroupArn=group, recipeArn=RECIPE, performAutoTraining=False
    )["solutionArn"]
    version = train(solution)
    campaign = personalize.create_campaign(name=name, solutionVersionArn=version, minProvisionedTPS=1)[
        "campaignArn"
    ]
    until_active(personalize.describe_campaign, campaignArn=campaign)
    tracker = personalize.create_event_tracker(name=name, datasetGroupArn=group)
    return Program(endcap, name, group, datasets, schemas, solution, version, campaign, tracker["trackingId"])


def _imported(name: str, group: str) -> tuple[dict[str, str], list[str]]:
    """Import the rows of each dataset type; return the datasets' ARNs by type, and those of the schemas."""
    personalize, s3 = boto3.client("personalize"), boto3.client("s3")
    datasets, schemas = {}, []
    ages = "\n".join(["USER_ID,AGE", *(f"u{number},40" for number in range(USERS))])
    for kind, schema, content in (
        ("Interactions", INTERACTIONS_SCHEMA, interactions_csv()),
        ("Items", ITEMS_SCHEMA, items_csv()),
        ("Users", USERS_SCHEMA, ages),
    ):
        made = personalize.create_schema(name=f"{name}-{kind}", schema=json.dumps(schema))
        schemas.append(made["schemaArn"])
        datasets[kind] = personalize.create_dataset(
            name=f"{name}-{kind}", schemaArn=made["schemaArn"], datasetGroupArn=group, datasetType=kind
        )["datasetArn"]
        s3.put_object(Bucket=name, Key=f"{kind}.csv", Body=content.encode())
        job = personalize.create_dataset_import_job(
            jobName=f"{name}-{kind}",
            datasetArn=datasets[kind],
            dataSource={"dataLocation": f"s3://{name}/{kind}.csv"},
            roleArn=ROLE,
        )["datasetImportJobArn"]
        until_active(personalize.describe_dataset_import_job, datasetImportJobArn=job)
    return datasets, schemas


class Asking:
    """Asks fifty times a second, each time once: the SDK repeats nothing."""

    def __init__(self, program: Program) -> None:
        self.answers = 0
        self.failures: list[str] = []
        self._program = program
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(5)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        once = Config(retries={"total_max_attempts": 1})
        runtime = boto3.session.Session().client("personalize-runtime", config=once)
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                found = runtime.get_recommendations(campaignArn=self._program.campaign, userId="u1")
                if len(found["itemList"]) != 25:
                    self.failures.append(f"only {len(found['itemList'])} items")
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a failure
                self.failures.append(str(error))
            self.answers += 1
            self._stop.wait(max(0.0, began + 0.1 - time.monotonic()))
