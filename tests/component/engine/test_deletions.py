"""Deletions with boto3: whom nothing is kept of, and what comes after."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.groups import active_version, checked, dataset_group, imported
from tests.component.engine.shop import INTERACTIONS_SCHEMA, interactions_csv
from tests.component.engine.test_exports import exported
from tests.component.engine.test_segments import segmented
from tests.support.deletions import until_deleted
from tests.support.processes import Process
from tests.support.waiting import until

USERS_SCHEMA = {
    "type": "record",
    "name": "Users",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "CITY", "type": "string", "categorical": True},
    ],
    "version": "1.0",
}


def deleted(engine: Engine, group: str, name: str, location: str) -> dict[str, Any]:
    """Create a deletion job, and poll until it is at its end."""
    personalize = engine.personalize
    arn = personalize.create_data_deletion_job(
        jobName=name, datasetGroupArn=group, dataSource={"dataLocation": location}, roleArn=ROLE
    )["dataDeletionJobArn"]

    def described() -> dict[str, Any]:
        job: dict[str, Any] = personalize.describe_data_deletion_job(dataDeletionJobArn=arn)[
            "dataDeletionJob"
        ]
        assert job["status"] in {"PENDING", "IN_PROGRESS", "COMPLETED", "FAILED"}
        return job

    return until(described, f"{arn} ended", enough=lambda job: job["status"] in {"COMPLETED", "FAILED"})


@pytest.fixture(scope="module")
def shop(engine: Engine, worker: Process) -> dict[str, str]:
    """120 users with 15 imported interactions each, and the city of each."""
    arns = dataset_group(engine, "deletions", {"Interactions": INTERACTIONS_SCHEMA, "Users": USERS_SCHEMA})
    imported(engine, arns["Interactions"], "deletions-interactions", interactions_csv())
    cities = "\n".join(f"u{user},Ulm" for user in range(120))
    imported(engine, arns["Users"], "deletions-users", f"USER_ID,CITY\n{cities}\n")
    return arns


def users_of(files: dict[str, list[dict[str, str]]]) -> set[str]:
    return {row["USER_ID"] for rows in files.values() for row in rows}


def test_deleted_users_leave_imports_exports_and_trainings(
    engine: Engine, shop: dict[str, str], tracked_event: Callable[..., None]
) -> None:
    for user, item, second in (("u1", "i1", 1), ("u1", "i2", 2), ("u5", "i1", 3)):
        tracked_event("deletions", user=user, item=item, second=second)
    location = engine.put("gone.csv", "USER_ID\nu1\nu2\nnobody\nu1\n")

    job = deleted(engine, shop["group"], "first", location)

    # 15 imported rows and one city each, and two events of one of them.
    assert (job["status"], job["numDeleted"]) == ("COMPLETED", 2 * 16 + 2)
    interactions = exported(engine, shop["Interactions"], "after", "ALL")
    assert {len(rows) for rows in interactions.values()} == {118 * 15, 1}
    left = users_of(interactions) | users_of(exported(engine, shop["Users"], "after-users", "ALL"))
    assert left == {f"u{user}" for user in range(120)} - {"u1", "u2"}
    version = active_version(engine, shop["group"], "aws-user-personalization")
    assert trained_users(engine, version) == 118


def trained_users(engine: Engine, version: str, when: str = "now") -> int:
    """How many users a version's model knows, by its answers: strangers get what is popular."""
    personalize = engine.personalize
    lines = "\n".join(f'{{"userId": "u{user}"}}' for user in [*range(120), 10_000])
    name = f"ask-{version.rpartition('/')[2]}-{when}"
    arn = personalize.create_batch_inference_job(
        jobName=name,
        solutionVersionArn=version,
        jobInput={"s3DataSource": {"path": engine.put(f"{name}.json", lines)}},
        jobOutput={"s3DataDestination": {"path": f"s3://{engine.bucket}/{name}/"}},
        roleArn=ROLE,
    )["batchInferenceJobArn"]
    engine.finished(personalize.describe_batch_inference_job, batchInferenceJobArn=arn)
    answers = [json.loads(line)["output"] for line in engine.get(f"{name}/{name}.json.out").splitlines()]
    return sum(answer != answers[-1] for answer in answers)


def test_what_was_before_does_not_come_back_and_what_comes_later_counts(
    engine: Engine, shop: dict[str, str], tracked_event: Callable[..., None]
) -> None:
    deleted(engine, shop["group"], "second", engine.put("gone-2.csv", "USER_ID\nu3\n"))
    header, *rows = interactions_csv().splitlines()
    old = [row for row in rows if row.startswith("u3,")]
    later = f"u3,i7,{int(time.time()) + 60},View,"
    imported(engine, shop["Interactions"], "again", "\n".join([header, *old, later]) + "\n", "INCREMENTAL")
    tracked_event("deletions", user="u3", item="i9", second=5)
    tracked_event("deletions", user="u3", item="i9", second=int(time.time()) + 60 - 1_700_000_000)

    files = exported(engine, shop["Interactions"], "after-again", "ALL")

    mine = [
        (row["ITEM_ID"], name) for name, found in files.items() for row in found if row["USER_ID"] == "u3"
    ]
    assert sorted(mine) == [("i7", "after-again-bulk-00001.csv"), ("i9", "after-again-put.csv")]


def test_deleted_users_and_nothing_else_leave_an_earlier_model(engine: Engine, shop: dict[str, str]) -> None:
    version = active_version(engine, shop["group"], "aws-user-personalization-v2")
    campaign = engine.personalize.create_campaign(name="deletions", solutionVersionArn=version)["campaignArn"]
    before = trained_users(engine, version, "before")

    deleted(engine, shop["group"], "of-models", engine.put("gone-models.csv", "USER_ID\nu11\nu12\nnobody\n"))

    assert trained_users(engine, version, "after") == before - 2
    status = engine.personalize.describe_campaign(campaignArn=campaign)["campaign"]["status"]
    assert status == "ACTIVE"
    # The campaign serves what took the model's place.
    assert len(set(asyncio.run(models_of(engine.database.url, campaign, version)))) == 1


async def models_of(url: str, *arns: str) -> list[tuple[str, str]]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT facts ->> 'model_uri' AS uri, facts ->> 'model_sha256' AS sha256 "
            "FROM engine.resources WHERE arn = ANY($1)",
            arns,
        )
    finally:
        await connection.close()
    assert len(rows) == len(arns)
    return [(row["uri"], row["sha256"]) for row in rows]


def test_a_segment_of_an_older_model_leaves_deleted_users_out(engine: Engine, shop: dict[str, str]) -> None:
    version = active_version(engine, shop["group"], "aws-item-affinity")
    [before] = segmented(engine, version, "before-deletion", ['{"itemId": "i5"}'], 20)
    first, second = before["output"]["usersList"][:2]

    deleted(engine, shop["group"], "third", engine.put("gone-3.csv", f"USER_ID\n{first}\n"))

    [after] = segmented(engine, version, "after-deletion", ['{"itemId": "i5"}'], 20)
    assert first not in after["output"]["usersList"]
    assert after["output"]["usersList"][0] == second


def test_users_of_a_request_of_a_shop_system_are_deleted(engine: Engine, shop: dict[str, str]) -> None:
    name = asyncio.run(requested(engine.database.url, "deletions", ["u21", "nobody"]))
    arn = f"{shop['group'].rpartition(':')[0]}:data-deletion-job/{name}"

    def described() -> dict[str, Any]:
        jobs = engine.personalize.list_data_deletion_jobs(datasetGroupArn=shop["group"])["dataDeletionJobs"]
        return next((job for job in jobs if job["jobName"] == name), {"status": "PENDING"})

    until(described, f"{arn} ended", enough=lambda job: job["status"] in {"COMPLETED", "FAILED"})
    job = engine.personalize.describe_data_deletion_job(dataDeletionJobArn=arn)["dataDeletionJob"]
    assert (job["status"], job["numDeleted"]) == ("COMPLETED", 16)


async def requested(url: str, tenant: str, users: list[str]) -> str:
    """Store a request as sync does; return the name of its job."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "INSERT INTO sync.privacy_requests (tenant, request_id, source, user_ids, received_at) "
            "SELECT id, 'r1', 'web', $2, now() FROM engine.tenants WHERE id LIKE $1 || '%'",
            tenant,
            users,
        )
    finally:
        await connection.close()
    return "privacy-r1"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("wrong", "ITEM_ID\ni1\n", "missing the following columns:[USER_ID]"),
        ("whole", "USER_ID,CITY\nu50,Ulm\n", "it must have USER_ID and no other"),
    ],
)
def test_a_file_that_is_no_list_of_users_fails_the_job_with_a_sentence(
    engine: Engine, shop: dict[str, str], name: str, content: str, sentence: str
) -> None:
    job = deleted(engine, shop["group"], name, engine.put(f"{name}.csv", content))

    assert job["status"] == "FAILED"
    assert sentence in job["failureReason"]


def test_the_answers_have_the_shape_that_botocore_expects(engine: Engine, shop: dict[str, str]) -> None:
    engine.s3.put_object(Bucket="endcap-uploads", Key="deletions/nobody.csv", Body=b"USER_ID\nnobody\n")
    job = checked(
        engine,
        "CreateDataDeletionJob",
        jobName="deletion-shapes",
        datasetGroupArn=shop["group"],
        dataSource={"dataLocation": "s3://endcap-uploads/deletions/nobody.csv"},
        roleArn=ROLE,
    )
    checked(engine, "DescribeDataDeletionJob", **job)
    listed = checked(engine, "ListDataDeletionJobs", datasetGroupArn=shop["group"])["dataDeletionJobs"]

    assert job["dataDeletionJobArn"] in {each["dataDeletionJobArn"] for each in listed}
    assert {each["status"] for each in listed} <= {"PENDING", "IN_PROGRESS", "COMPLETED", "FAILED"}


def test_a_deleted_group_is_gone_and_its_tenant_is_never_used_again(engine: Engine, worker: Process) -> None:
    personalize = engine.personalize
    arn = personalize.create_dataset_group(name="shortlived")["datasetGroupArn"]
    tracker = personalize.create_event_tracker(name="shortlived", datasetGroupArn=arn)["eventTrackerArn"]

    personalize.delete_event_tracker(eventTrackerArn=tracker)
    until_deleted(personalize.describe_event_tracker, eventTrackerArn=tracker)
    personalize.delete_dataset_group(datasetGroupArn=arn)
    until_deleted(personalize.describe_dataset_group, datasetGroupArn=arn)

    assert personalize.create_dataset_group(name="shortlived")["datasetGroupArn"] == arn
