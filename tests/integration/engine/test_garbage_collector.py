"""Models that nothing needs any more are cleared away: never one in use, never the newest ones."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from services.engine.domain.resources import NewResource, ResourceType, Status
from services.engine.domain.state import SolutionVersion
from services.engine.jobs.garbage_collector import GarbageCollector
from services.engine.jobs.registry import EngineJobs
from services.engine.personalize.dispatcher import OperationDispatcher
from services.engine.settings import Settings
from services.engine.store import cleanup, resources
from services.engine.store.objects import ObjectStorage
from shared.aws import WireError
from shared.errors import Transient
from shared.jobs import Job
from shared.postgres import Database
from tests.integration.engine.datasets import dataset
from tests.support.control_plane import RECIPE, perform
from tests.support.deletions import end_deletions
from tests.support.stack import ObjectStore


@pytest.fixture
async def solution(dispatcher: OperationDispatcher) -> str:
    group = (await perform(dispatcher, "CreateDatasetGroup", name="shop")).dataset_group_arn
    made = await perform(dispatcher, "CreateSolution", name="s", datasetGroupArn=group, recipeArn=RECIPE)
    return str(made.solution_arn)


async def trained(
    dispatcher: OperationDispatcher, store: Database, solution: str, count: int
) -> list[SolutionVersion]:
    """Versions as the worker leaves them, oldest first."""
    versions = []
    for _ in range(count):
        await perform(dispatcher, "CreateSolutionVersion", solutionArn=solution)
        version = (await all_versions(store))[-1]
        facts = {"model_uri": f"s3://data/{version.facts.folder}", "model_sha256": "0" * 64, "metrics": {}}
        account = resources.in_account_of(store, version)
        versions.append(await account.save(version, status=Status.ACTIVE, facts=version.facts.merged(facts)))
    return versions


async def all_versions(store: Database) -> list[SolutionVersion]:
    rows = await store.fetch("SELECT id FROM resources WHERE type = 'solution-version' ORDER BY id")
    loaded = [await resources.by_id(store, row["id"]) for row in rows]
    return [SolutionVersion.of(version) for version in loaded if version is not None]


async def test_old_models_go_but_those_in_use(
    dispatcher: OperationDispatcher, store: Database, solution: str, s3: ObjectStore, bucket: str
) -> None:
    client = s3.client()
    versions = await trained(dispatcher, store, solution, 6)
    for version in versions:
        client.put_object(Bucket=bucket, Key=f"{version.facts.folder}meta.json", Body=b"{}")
    await perform(dispatcher, "CreateCampaign", name="old", solutionVersionArn=str(versions[0].arn))
    await perform(
        dispatcher,
        "CreateBatchInferenceJob",
        jobName="reads",
        solutionVersionArn=str(versions[1].arn),
        jobInput={"s3DataSource": {"path": "s3://in/a.json"}},
        jobOutput={"s3DataDestination": {"path": "s3://out/a/"}},
        roleArn="arn:aws:iam::000000000000:role/r",
    )
    settings = Settings(keep_models=2, garbage_hours=0.0)
    sweeper = GarbageCollector(store, ObjectStorage(client, bucket), settings)

    await sweeper.run()

    retired = [bool(version.facts.retired) for version in await all_versions(store)]
    left = {each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert retired == [False, False, True, True, False, False]
    assert left == {f"{versions[place].facts.folder}meta.json" for place in (0, 1, 4, 5)}


async def test_a_version_without_its_model_says_so(
    dispatcher: OperationDispatcher, store: Database, solution: str
) -> None:
    versions = await trained(dispatcher, store, solution, 2)
    objects = SimpleNamespace(delete_below=lambda _: None)
    await GarbageCollector(store, objects, Settings(keep_models=1)).run()  # type: ignore[arg-type]

    with pytest.raises(WireError, match="was deleted") as refusal:
        await perform(dispatcher, "CreateCampaign", name="c", solutionVersionArn=str(versions[0].arn))
    described = await perform(dispatcher, "DescribeSolutionVersion", solutionVersionArn=str(versions[0].arn))
    await perform(dispatcher, "CreateCampaign", name="c", solutionVersionArn=str(versions[1].arn))

    assert refusal.value.code == "InvalidInputException"
    assert described.solution_version.status == "ACTIVE"


async def test_what_a_failed_training_has_written_is_cleared_away(
    dispatcher: OperationDispatcher, store: Database, solution: str
) -> None:
    await perform(dispatcher, "CreateSolutionVersion", solutionArn=solution)
    (version,) = await all_versions(store)
    job = Job(1, ResourceType.SOLUTION_VERSION.value, str(version.id), {}, 1, {}, "test", store)

    await EngineJobs(store, Settings()).failed(job, "no data")

    rows = await store.fetch("SELECT prefix FROM garbage")
    assert [row["prefix"] for row in rows] == [version.facts.folder]


async def test_what_the_store_does_not_delete_is_swept_again(
    dispatcher: OperationDispatcher,
    store: Database,
    s3: ObjectStore,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = s3.client()
    client.put_object(Bucket=bucket, Key="gone/users.csv", Body=b"x")
    await store.execute("INSERT INTO garbage VALUES ('gone/', now() - interval '1 second')")
    refused = {"Errors": [{"Key": "gone/users.csv", "Code": "AccessDenied"}]}
    with monkeypatch.context() as patch:
        patch.setattr(client, "delete_objects", lambda **_: refused)
        with pytest.raises(Transient, match="did not delete gone/users"):
            await GarbageCollector(store, ObjectStorage(client, bucket), Settings()).run()
    left = await store.fetch("TABLE garbage")
    await GarbageCollector(store, ObjectStorage(client, bucket), Settings()).run()

    assert len(left) == 1
    assert client.list_objects_v2(Bucket=bucket).get("Contents", []) == []


async def test_jobs_go_with_what_they_belong_to(
    dispatcher: OperationDispatcher, store: Database, solution: str
) -> None:
    role = {"roleArn": "arn:aws:iam::000000000000:role/r"}
    out = {"s3DataDestination": {"path": "s3://out/a/"}}
    users = await dataset(dispatcher, store, "Users")
    await perform(
        dispatcher, "CreateDatasetExportJob", jobName="e", datasetArn=users.arn, jobOutput=out, **role
    )
    (version,) = await trained(dispatcher, store, solution, 1)
    await resources.in_account_of(store, version).save(
        version, facts=version.facts.merged({"recipe": "aws-item-affinity"})
    )
    await perform(
        dispatcher,
        "CreateBatchSegmentJob",
        jobName="s",
        solutionVersionArn=str(version.arn),
        jobInput={"s3DataSource": {"path": "s3://in/a.json"}},
        jobOutput=out,
        **role,
    )
    group = {"datasetGroupArn": "arn:aws:personalize:::dataset-group/shop"}
    source = {"dataSource": {"dataLocation": "s3://in/users.csv"}}
    await perform(dispatcher, "CreateDataDeletionJob", jobName="d", **group, **source, **role)
    steps = (
        ("dataset-export-job", "DeleteDataset", {"datasetArn": users.arn}),
        ("batch-segment-job", "DeleteSolution", {"solutionArn": solution}),
        ("data-deletion-job", "DeleteDatasetGroup", group),
    )
    for kind, operation, named in steps:
        with pytest.raises(WireError, match=f"in use by arn.*{kind}"):
            await perform(dispatcher, operation, **named)
        await store.execute("UPDATE resources SET status = 'ACTIVE' WHERE type = $1", kind)
        await perform(dispatcher, operation, **named)
        await end_deletions(store)

    await cleanup.end_deletions(store)
    assert {row["type"] for row in await store.fetch("SELECT type FROM resources")} == {"schema"}


async def test_a_campaign_that_is_being_made_keeps_its_solution(
    dispatcher: OperationDispatcher, store: Database, solution: str
) -> None:
    (version,) = await trained(dispatcher, store, solution, 1)
    async with store.transaction() as connection:
        account = resources.in_account_of(connection, version)
        await account.get(version.path, lock=True)
        deleting = asyncio.create_task(perform(dispatcher, "DeleteSolution", solutionArn=solution))
        await asyncio.sleep(0.3)
        campaign = NewResource(ResourceType.CAMPAIGN, "campaign/c", "c", "shop", {}, parent=version.parent)
        await account.add(campaign)

    with pytest.raises(WireError, match=r"in use by arn.*campaign/c"):
        await deleting
