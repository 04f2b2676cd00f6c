"""Files of datasets that nothing needs any more are cleared away."""

from __future__ import annotations

import json

from services.engine.computations.dataset_import import Imported
from services.engine.computations.row_deletion import PartResult
from services.engine.domain.resources import NewResource, ResourceType, Status
from services.engine.domain.state import DataDeletionJob, DatasetImportJob
from services.engine.jobs.data_deletions import DataDeletion
from services.engine.jobs.dataset_imports import DatasetImport
from services.engine.jobs.registry import EngineJobs
from services.engine.personalize.dispatcher import OperationDispatcher
from services.engine.settings import Settings
from services.engine.store import datasets, resources
from shared.jobs import Job
from shared.postgres import Database
from tests.integration.engine.datasets import dataset
from tests.support.control_plane import perform


async def test_what_dead_attempts_of_an_import_have_written_is_cleared_away(
    dispatcher: OperationDispatcher, store: Database
) -> None:
    group = (await perform(dispatcher, "CreateDatasetGroup", name="shop")).dataset_group_arn
    fields = [{"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "float"}]
    avro = {"type": "record", "name": "Items", "namespace": "n", "fields": fields, "version": "1.0"}
    schema = (await perform(dispatcher, "CreateSchema", name="items", schema=json.dumps(avro))).schema_arn
    dataset = await perform(
        dispatcher, "CreateDataset", name="i", schemaArn=schema, datasetGroupArn=group, datasetType="Items"
    )
    await perform(
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
    row = await resources.by_id(store, job["id"])
    assert row is not None
    resource = DatasetImportJob.of(row)
    folder = f"shop/datasets/items/{resource.id}/"

    async with store.transaction() as connection:
        await DatasetImport(store, Settings())._finish(
            connection, resource, Imported(parts=[], null_cells={}), f"{folder}3/"
        )

    rows = await store.fetch("SELECT prefix FROM garbage ORDER BY prefix")
    assert [row["prefix"] for row in rows] == [f"{folder}1/", f"{folder}2/"]


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
            ResourceType.DATASET_IMPORT_JOB,
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
        import_job = DatasetImportJob.of(added)
        await DatasetImport(store, Settings())._finish(connection, import_job, imported, "new/1/")

    discarded = {row["prefix"] for row in await store.fetch("SELECT prefix FROM garbage")}
    await perform(dispatcher, "DeleteDataset", datasetArn=users.arn)
    both = {row["prefix"] for row in await store.fetch("SELECT prefix FROM garbage")}

    assert discarded == {f"{written}1.parquet"}
    assert both == {f"{written}0.parquet", f"{written}1.parquet"}


async def test_what_dead_attempts_of_a_deletion_have_written_is_cleared_away(
    dispatcher: OperationDispatcher, store: Database
) -> None:
    users = await dataset(dispatcher, store, "Users")
    ids = []
    for name in ("done", "failed"):
        await perform(
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
    job = Job(1, ResourceType.DATA_DELETION_JOB.value, str(done.id), {}, 2, {"received": 0}, "test", store)
    async with store.transaction() as connection:
        await datasets.add_parts(connection, users.id, 0, [datasets.Part("a", 2, 2)], replacing=True)
        # Meanwhile an import has replaced the part b.
        assert await DataDeletion(store, Settings())._replace_parts(
            connection, job, DataDeletionJob.of(done), results
        )
    failed_job = Job(2, ResourceType.DATA_DELETION_JOB.value, str(failed.id), {}, 1, {}, "test", store)
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
