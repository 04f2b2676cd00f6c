"""Models that nothing needs any more are cleared away: never one in use, never the newest ones."""

from __future__ import annotations

import asyncio
import contextlib
import json
from types import SimpleNamespace

import pytest

from services.engine.computations.dataset_import import Imported
from services.engine.computations.row_deletion import PartResult
from services.engine.domain.resources import NewResource, Resource, Status, Type
from services.engine.jobs.data_deletions import DataDeletion
from services.engine.jobs.dataset_imports import DatasetImport
from services.engine.jobs.garbage_collector import GarbageCollector
from services.engine.jobs.registry import EngineJobs
from services.engine.personalize.dispatcher import OperationDispatcher
from services.engine.settings import Settings
from services.engine.store import cleanup, datasets, resources
from services.engine.store.objects import Objects
from shared.aws import WireError
from shared.errors import Transient
from shared.jobs import Job
from shared.postgres import Database
from tests.support.control_plane import RECIPE, ask
from tests.support.deletions import end_deletions
from tests.support.stack import ObjectStore


@pytest.fixture
async def solution(dispatcher: OperationDispatcher) -> str:
    group = (await ask(dispatcher, "CreateDatasetGroup", name="shop")).dataset_group_arn
    made = await ask(dispatcher, "CreateSolution", name="s", datasetGroupArn=group, recipeArn=RECIPE)
    return str(made.solution_arn)


async def trained(
    dispatcher: OperationDispatcher, store: Database, solution: str, count: int
) -> list[Resource]:
    """Versions as the worker leaves them, oldest first."""
    versions = []
    for _ in range(count):
        await ask(dispatcher, "CreateSolutionVersion", solutionArn=solution)
        version = (await all_versions(store))[-1]
        facts = {"model_uri": f"s3://data/{version.facts['folder']}", "model_sha256": "0" * 64, "metrics": {}}
        versions.append(
            await resources.in_account_of(store, version).update(version, status=Status.ACTIVE, facts=facts)
        )
    return versions


async def all_versions(store: Database) -> list[Resource]:
    rows = await store.fetch("SELECT id FROM resources WHERE type = 'solution-version' ORDER BY id")
    loaded = [await resources.by_id(store, row["id"]) for row in rows]
    return [version for version in loaded if version is not None]


async def test_old_models_go_but_those_in_use(
    dispatcher: OperationDispatcher, store: Database, solution: str, s3: ObjectStore, bucket: str
) -> None:
    client = s3.client()
    versions = await trained(dispatcher, store, solution, 6)
    for version in versions:
        client.put_object(Bucket=bucket, Key=f"{version.facts['folder']}meta.json", Body=b"{}")
    await ask(dispatcher, "CreateCampaign", name="old", solutionVersionArn=versions[0].arn)
    await ask(
        dispatcher,
        "CreateBatchInferenceJob",
        jobName="reads",
        solutionVersionArn=versions[1].arn,
        jobInput={"s3DataSource": {"path": "s3://in/a.json"}},
        jobOutput={"s3DataDestination": {"path": "s3://out/a/"}},
        roleArn="arn:aws:iam::000000000000:role/r",
    )
    settings = Settings(keep_models=2, garbage_hours=0.0)
    sweeper = GarbageCollector(store, Objects(client, bucket), settings)

    await sweeper.run()

    retired = [version.facts.get("retired", False) for version in await all_versions(store)]
    left = {each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert retired == [False, False, True, True, False, False]
    assert left == {f"{versions[place].facts['folder']}meta.json" for place in (0, 1, 4, 5)}


async def test_a_version_without_its_model_says_so(
    dispatcher: OperationDispatcher, store: Database, solution: str
) -> None:
    versions = await trained(dispatcher, store, solution, 2)
    objects = SimpleNamespace(delete_below=lambda _: None)
    await GarbageCollector(store, objects, Settings(keep_models=1)).run()  # type: ignore[arg-type]

    with pytest.raises(WireError, match="was deleted") as refusal:
        await ask(dispatcher, "CreateCampaign", name="c", solutionVersionArn=versions[0].arn)
    described = await ask(dispatcher, "DescribeSolutionVersion", solutionVersionArn=versions[0].arn)
    await ask(dispatcher, "CreateCampaign", name="c", solutionVersionArn=versions[1].arn)

    assert refusal.value.code == "InvalidInputException"
    assert described.solution_version.status == "ACTIVE"


async def test_what_a_failed_training_has_written_is_cleared_away(
    dispatcher: OperationDispatcher, store: Database, solution: str
) -> None:
    await ask(dispatcher, "CreateSolutionVersion", solutionArn=solution)
    (version,) = await all_versions(store)
    job = Job(1, Type.SOLUTION_VERSION.value, str(version.id), {}, 1, {}, "test", store)

    await EngineJobs(store, Settings()).failed(job, "no data")

    rows = await store.fetch("SELECT prefix FROM garbage")
    assert [row["prefix"] for row in rows] == [version.facts["folder"]]


async def test_what_dead_attempts_of_an_import_have_written_is_cleared_away(
    dispatcher: OperationDispatcher, store: Database
) -> None:
    group = (await ask(dispatcher, "CreateDatasetGroup", name="shop")).dataset_group_arn
    fields = [{"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "float"}]
    avro = {"type": "record", "name": "Items", "namespace": "n", "fields": fields, "version": "1.0"}
    schema = (await ask(dispatcher, "CreateSchema", name="items", schema=json.dumps(avro))).schema_arn
    dataset = await ask(
        dispatcher, "CreateDataset", name="i", schemaArn=schema, datasetGroupArn=group, datasetType="Items"
    )
    await ask(
        dispatcher,
        "CreateDatasetImportJob",
        jobName="i",
        datasetArn=dataset.dataset_arn,
        dataSource={"dataLocation": "s3://in/items.csv"},
        roleArn="arn:aws:iam::000000000000:role/r",
        importMode="FULL",
    )
    job = await store.fetchrow("SELECT id FROM resources WHERE type = 'dataset-import-job'")
    assert job is not None
    resource = await resources.by_id(store, job["id"])
    assert resource is not None
    folder = f"shop/datasets/items/{resource.id}/"

    async with store.transaction() as connection:
        await DatasetImport(store, Settings())._finish(
            connection, resource, Imported(parts=[], null_cells={}), f"{folder}3/"
        )

    rows = await store.fetch("SELECT prefix FROM garbage ORDER BY prefix")
    assert [row["prefix"] for row in rows] == [f"{folder}1/", f"{folder}2/"]


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
            await GarbageCollector(store, Objects(client, bucket), Settings()).run()
    left = await store.fetch("TABLE garbage")
    await GarbageCollector(store, Objects(client, bucket), Settings()).run()

    assert len(left) == 1
    assert client.list_objects_v2(Bucket=bucket).get("Contents", []) == []


async def test_a_dataset_lets_go_of_its_own_files_alone_in_the_folder_of_a_deletion(
    dispatcher: OperationDispatcher, store: Database
) -> None:
    """A deletion writes the parts of all datasets anew into one folder."""
    users, events = [await dataset(dispatcher, store, kind) for kind in ("Users", "Interactions")]
    written = "shop/datasets/deletions/9/1-0/part-0000"
    async with store.transaction() as connection:
        for number, dataset_row in enumerate((users, events)):
            await datasets.add_parts(
                connection,
                dataset_row.id,
                0,
                [datasets.Part(f"{written}{number}.parquet", 1, 1)],
                replacing=True,
            )
        document = {"datasetArn": events.arn, "dataSource": {}, "importMode": "FULL"}
        job = NewResource(
            Type.DATASET_IMPORT_JOB,
            "dataset-import-job/j",
            "j",
            "shop",
            document,
            events.path,
            Status.PENDING,
        )
        added = await resources.in_account_of(connection, events).add(job)
        assert added is not None
        imported = Imported(parts=[], null_cells={})
        await DatasetImport(store, Settings())._finish(connection, added, imported, "new/1/")

    discarded = {row["prefix"] for row in await store.fetch("SELECT prefix FROM garbage")}
    await ask(dispatcher, "DeleteDataset", datasetArn=users.arn)
    both = {row["prefix"] for row in await store.fetch("SELECT prefix FROM garbage")}

    assert discarded == {f"{written}1.parquet"}
    assert both == {f"{written}0.parquet", f"{written}1.parquet"}


async def dataset(dispatcher: OperationDispatcher, store: Database, kind: str) -> Resource:
    """A dataset of the group shop, which is made with the first."""
    with contextlib.suppress(WireError):
        await ask(dispatcher, "CreateDatasetGroup", name="shop")
    names = {"Users": ["USER_ID", "CITY"], "Interactions": ["USER_ID", "ITEM_ID", "TIMESTAMP"]}[kind]
    fields = [{"name": name, "type": "long" if name == "TIMESTAMP" else "string"} for name in names]
    avro = {"type": "record", "name": kind, "namespace": "n", "fields": fields, "version": "1.0"}
    schema = (await ask(dispatcher, "CreateSchema", name=kind, schema=json.dumps(avro))).schema_arn
    group = "arn:aws:personalize:::dataset-group/shop"
    made = await ask(
        dispatcher, "CreateDataset", name=kind, schemaArn=schema, datasetGroupArn=group, datasetType=kind
    )
    row = await store.fetchrow("SELECT id FROM resources WHERE arn = $1", made.dataset_arn)
    assert row is not None
    resource = await resources.by_id(store, row["id"])
    assert resource is not None
    return resource


async def test_what_dead_attempts_of_a_deletion_have_written_is_cleared_away(
    dispatcher: OperationDispatcher, store: Database
) -> None:
    users = await dataset(dispatcher, store, "Users")
    ids = []
    for name in ("done", "failed"):
        await ask(
            dispatcher,
            "CreateDataDeletionJob",
            jobName=name,
            datasetGroupArn="arn:aws:personalize:::dataset-group/shop",
            dataSource={"dataLocation": "s3://in/users.csv"},
            roleArn="arn:aws:iam::000000000000:role/r",
        )
        ids.append(await store.fetchval("SELECT max(id) FROM resources"))
    done, failed = [await resources.by_id(store, identifier) for identifier in ids]
    assert done is not None
    assert failed is not None
    fresh = f"shop/datasets/deletions/{done.id}/2-0/"
    results = {key: PartResult(key, 1, f"{fresh}{key}", 1, 1) for key in "ab"}
    job = Job(1, Type.DATA_DELETION_JOB.value, str(done.id), {}, 2, {"received": 0}, "test", store)
    async with store.transaction() as connection:
        await datasets.add_parts(connection, users.id, 0, [datasets.Part("a", 2, 2)], replacing=True)
        # Meanwhile an import has replaced the part b.
        assert await DataDeletion(store, Settings())._replace_parts(connection, job, done, results)
    failed_job = Job(2, Type.DATA_DELETION_JOB.value, str(failed.id), {}, 1, {}, "test", store)
    await EngineJobs(store, Settings()).failed(failed_job, "no such file")
    # What has taken the place of parts stays, also when the job fails later.
    await EngineJobs(store, Settings()).failed(job, "a service did not confirm")

    assert [part.key for part in await datasets.parts(store, users.id)] == [f"{fresh}a"]
    assert {row["prefix"] for row in await store.fetch("SELECT prefix FROM garbage")} == {
        "a",
        f"{fresh}b",
        f"shop/datasets/deletions/{done.id}/1-",
        f"shop/datasets/deletions/{failed.id}/",
    }


async def test_jobs_go_with_what_they_belong_to(
    dispatcher: OperationDispatcher, store: Database, solution: str
) -> None:
    role = {"roleArn": "arn:aws:iam::000000000000:role/r"}
    out = {"s3DataDestination": {"path": "s3://out/a/"}}
    users = await dataset(dispatcher, store, "Users")
    await ask(dispatcher, "CreateDatasetExportJob", jobName="e", datasetArn=users.arn, jobOutput=out, **role)
    (version,) = await trained(dispatcher, store, solution, 1)
    await resources.in_account_of(store, version).update(version, facts={"recipe": "aws-item-affinity"})
    await ask(
        dispatcher,
        "CreateBatchSegmentJob",
        jobName="s",
        solutionVersionArn=version.arn,
        jobInput={"s3DataSource": {"path": "s3://in/a.json"}},
        jobOutput=out,
        **role,
    )
    group = {"datasetGroupArn": "arn:aws:personalize:::dataset-group/shop"}
    source = {"dataSource": {"dataLocation": "s3://in/users.csv"}}
    await ask(dispatcher, "CreateDataDeletionJob", jobName="d", **group, **source, **role)
    steps = (
        ("dataset-export-job", "DeleteDataset", {"datasetArn": users.arn}),
        ("batch-segment-job", "DeleteSolution", {"solutionArn": solution}),
        ("data-deletion-job", "DeleteDatasetGroup", group),
    )
    for kind, operation, named in steps:
        with pytest.raises(WireError, match=f"in use by arn.*{kind}"):
            await ask(dispatcher, operation, **named)
        await store.execute("UPDATE resources SET status = 'ACTIVE' WHERE type = $1", kind)
        await ask(dispatcher, operation, **named)
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
        deleting = asyncio.create_task(ask(dispatcher, "DeleteSolution", solutionArn=solution))
        await asyncio.sleep(0.3)
        campaign = NewResource(Type.CAMPAIGN, "campaign/c", "c", "shop", {}, parent=version.parent)
        await account.add(campaign)

    with pytest.raises(WireError, match=r"in use by arn.*campaign/c"):
        await deleting
