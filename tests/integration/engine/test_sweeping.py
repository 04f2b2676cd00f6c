"""Models that nothing needs any more are cleared away: never one in use, never the newest ones."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from services.engine.domain.resources import Resource, Status, Type
from services.engine.personalize.surface import Surface
from services.engine.settings import Settings
from services.engine.store import resources
from services.engine.store.objects import Objects
from services.engine.worker.sweeper import Sweeper
from services.engine.worker.work import Work
from shared.jobs import Job
from shared.personalize import WireError
from shared.postgres import Database
from tests.support.control import RECIPE, ask
from tests.support.stack import ObjectStore


@pytest.fixture
async def solution(surface: Surface) -> str:
    group = (await ask(surface, "CreateDatasetGroup", name="shop")).dataset_group_arn
    made = await ask(surface, "CreateSolution", name="s", datasetGroupArn=group, recipeArn=RECIPE)
    return str(made.solution_arn)


async def trained(surface: Surface, store: Database, solution: str, count: int) -> list[Resource]:
    """Versions as the worker leaves them, oldest first."""
    versions = []
    for _ in range(count):
        await ask(surface, "CreateSolutionVersion", solutionArn=solution)
        version = (await all_versions(store))[-1]
        facts = {"model_uri": f"s3://data/{version.facts['folder']}", "model_sha256": "0", "metrics": {}}
        versions.append(
            await resources.beside(store, version).update(version, status=Status.ACTIVE, facts=facts)
        )
    return versions


async def all_versions(store: Database) -> list[Resource]:
    rows = await store.fetch("SELECT id FROM resources WHERE type = 'solution-version' ORDER BY id")
    found = [await resources.by_id(store, row["id"]) for row in rows]
    return [version for version in found if version is not None]


async def test_old_models_go_but_those_in_use(
    surface: Surface, store: Database, solution: str, s3: ObjectStore, bucket: str
) -> None:
    client = s3.client()
    versions = await trained(surface, store, solution, 6)
    for version in versions:
        client.put_object(Bucket=bucket, Key=f"{version.facts['folder']}meta.json", Body=b"{}")
    await ask(surface, "CreateCampaign", name="old", solutionVersionArn=versions[0].arn)
    await ask(
        surface,
        "CreateBatchInferenceJob",
        jobName="reads",
        solutionVersionArn=versions[1].arn,
        jobInput={"s3DataSource": {"path": "s3://in/a.json"}},
        jobOutput={"s3DataDestination": {"path": "s3://out/a/"}},
        roleArn="arn:aws:iam::000000000000:role/r",
    )
    settings = Settings(keep_models=2, garbage_hours=0.0)
    sweeper = Sweeper(store, Objects(client, bucket), settings)

    await sweeper.sweep()

    retired = [version.facts.get("retired", False) for version in await all_versions(store)]
    left = {each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert retired == [False, False, True, True, False, False]
    assert left == {f"{versions[place].facts['folder']}meta.json" for place in (0, 1, 4, 5)}


async def test_a_version_without_its_model_says_so(surface: Surface, store: Database, solution: str) -> None:
    versions = await trained(surface, store, solution, 2)
    objects = SimpleNamespace(delete_below=lambda _: None)
    await Sweeper(store, objects, Settings(keep_models=1)).sweep()  # type: ignore[arg-type]

    with pytest.raises(WireError, match="was cleared away") as refusal:
        await ask(surface, "CreateCampaign", name="c", solutionVersionArn=versions[0].arn)
    described = await ask(surface, "DescribeSolutionVersion", solutionVersionArn=versions[0].arn)
    await ask(surface, "CreateCampaign", name="c", solutionVersionArn=versions[1].arn)

    assert refusal.value.code == "InvalidInputException"
    assert described.solution_version.status == "ACTIVE"


async def test_what_a_failed_training_has_written_is_cleared_away(
    surface: Surface, store: Database, solution: str
) -> None:
    await ask(surface, "CreateSolutionVersion", solutionArn=solution)
    (version,) = await all_versions(store)
    job = Job(1, Type.SOLUTION_VERSION.value, str(version.id), {}, 1, {}, "test", store)

    await Work(store, Settings()).failed(job, "no data")

    rows = await store.fetch("SELECT prefix FROM garbage")
    assert [row["prefix"] for row in rows] == [version.facts["folder"]]


async def test_what_dead_attempts_of_an_import_have_written_is_cleared_away(
    surface: Surface, store: Database
) -> None:
    group = (await ask(surface, "CreateDatasetGroup", name="shop")).dataset_group_arn
    fields = [{"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "float"}]
    avro = {"type": "record", "name": "Items", "namespace": "n", "fields": fields, "version": "1.0"}
    schema = (await ask(surface, "CreateSchema", name="items", schema=json.dumps(avro))).schema_arn
    dataset = await ask(
        surface, "CreateDataset", name="i", schemaArn=schema, datasetGroupArn=group, datasetType="Items"
    )
    await ask(
        surface,
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
        await Work(store, Settings())._finish_import(
            connection, resource, [], {"warnings": []}, f"{folder}3/"
        )

    rows = await store.fetch("SELECT prefix FROM garbage ORDER BY prefix")
    assert [row["prefix"] for row in rows] == [f"{folder}1/", f"{folder}2/"]
