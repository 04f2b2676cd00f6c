"""Automatic training, which several workers begin once, and incremental updates, which replace models."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import asyncpg
import pytest

from services.engine.domain import state
from services.engine.domain.resources import Resource, Status
from services.engine.personalize import incremental_updates
from services.engine.personalize.dispatcher import OperationDispatcher
from services.engine.schedule import AutoTraining
from services.engine.settings import Settings
from services.engine.store import resources
from shared.aws import WireError
from shared.postgres import Database
from shared.settings import PostgresSettings
from tests.support.control_plane import RECIPE, perform
from tests.support.deletions import end_deletions
from tests.support.stack import Database as MigratedDatabase

SEMANTIC = RECIPE.replace("aws-similar-items", "aws-semantic-similarity")
MANY = 1500


async def test_several_schedules_at_once_begin_one_training_of_a_solution(
    dispatcher: OperationDispatcher, store: Database, database: MigratedDatabase
) -> None:
    """Among many solutions a look takes so long that another schedule's transaction ends within it."""
    group = (await perform(dispatcher, "CreateDatasetGroup", name="shop")).dataset_group_arn
    await perform(dispatcher, "CreateSolution", name="first", datasetGroupArn=group, recipeArn=RECIPE)
    await store.execute(
        "INSERT INTO resources (account, tenant, type, path, parent, arn, name, status, document, facts) "
        "SELECT account, tenant, type, path || n, parent, arn || n, name || n, status, document, facts "
        "FROM resources, generate_series(1, $1::int) AS n WHERE type = 'solution'",
        MANY,
    )
    await store.execute("UPDATE resources SET created_at = created_at - interval '1 hour'")
    peers = [Database(PostgresSettings(database_url=database.role_url("engine")), "engine") for _ in range(3)]
    for peer in peers:
        await peer.start()

    async def look(over: Database) -> list[str]:
        schedule = AutoTraining(over, Settings())
        return [arn for _ in range(12) for arn in await schedule.begin_due()]

    try:
        arns_of_workers = await asyncio.gather(*(look(each) for each in (store, *peers)))
    finally:
        for peer in peers:
            await peer.stop()

    trained = [arn.rpartition("/")[0] for arns in arns_of_workers for arn in arns]
    assert len(trained) > 200
    assert len(trained) == len(set(trained))


@pytest.fixture
async def solution(dispatcher: OperationDispatcher) -> str:
    group = (await perform(dispatcher, "CreateDatasetGroup", name="shop")).dataset_group_arn
    made = await perform(
        dispatcher,
        "CreateSolution",
        name="alike",
        datasetGroupArn=group,
        recipeArn=SEMANTIC,
        performAutoTraining=False,
        performIncrementalUpdate=True,
    )
    return str(made.solution_arn)


def digest(name: str) -> str:
    """The SHA-256 of a model of that name."""
    return hashlib.sha256(name.encode()).hexdigest()


async def version_of(dispatcher: OperationDispatcher, store: Database, solution: str, sha256: str) -> str:
    """A version as a worker leaves it."""
    made = await perform(dispatcher, "CreateSolutionVersion", solutionArn=solution)
    arn = str(made.solution_version_arn)
    version = state.SolutionVersion.of(await stored(store, arn))
    facts = {
        "metrics": {},
        "model_uri": f"s3://data/{version.facts.folder}",
        "model_sha256": digest(sha256),
    }
    account = resources.in_account_of(store, version)
    await account.save(version, status=Status.ACTIVE, facts=version.facts.merged(facts))
    return arn


async def stored(store: Database, arn: str) -> Resource:
    resource = await resources.by_id(
        store, await store.fetchval("SELECT id FROM resources WHERE arn = $1", arn)
    )
    assert resource is not None
    return resource


async def put_item(database: MigratedDatabase) -> None:
    connection = await asyncpg.connect(database.url)
    await connection.execute(
        "INSERT INTO sync.items (tenant, item_id) VALUES ('shop', 'new') "
        "ON CONFLICT (tenant, item_id) DO UPDATE SET updated_at = now()"
    )
    await connection.close()


async def end(store: Database, arn: str, sha256: str) -> list[str]:
    """End a renewal as a worker does; gives the names of the campaigns that changed."""
    async with store.transaction() as connection:
        renewal = state.ModelRenewal.of(await stored(store, arn))
        account = resources.in_account_of(connection, renewal)
        facts = {
            "metrics": {"coverage": 0.5},
            "model_uri": "s3://data/fresh/",
            "model_sha256": digest(sha256),
        }
        ended = await account.save(renewal, status=Status.ACTIVE, facts=renewal.facts.merged(facts))
        return [event.name for event in await incremental_updates.deploy(account, ended, 24.0)]


async def test_new_items_renew_the_newest_model_in_its_place(
    dispatcher: OperationDispatcher, store: Database, database: MigratedDatabase, solution: str
) -> None:
    old = await version_of(dispatcher, store, solution, "old")
    new = await version_of(dispatcher, store, solution, "new")
    for name, version in (("pinned", old), ("served", new)):
        await perform(dispatcher, "CreateCampaign", name=name, solutionVersionArn=version)
    schedule = AutoTraining(store, Settings())

    async def begun(minutes: int) -> list[str]:
        await store.execute(
            "UPDATE resources SET created_at = created_at - make_interval(mins => $1)", minutes
        )
        return await schedule.begin_due()

    assert await begun(31) == [], "nothing came in"
    await put_item(database)
    [renewal] = await begun(0)
    assert renewal.startswith(f"{new}/")
    assert await begun(31) == [], "one is under way"
    folder = (await stored(store, new)).facts["folder"]

    assert await end(store, renewal, "renewed") == ["served"]

    served = await store.fetch("SELECT name, model_sha256 FROM campaigns_v1 ORDER BY name")
    assert [tuple(row) for row in served] == [("pinned", digest("old")), ("served", digest("renewed"))]
    assert await store.fetchval("SELECT prefix FROM garbage") == folder
    metrics = await perform(dispatcher, "GetSolutionMetrics", solutionVersionArn=new)
    assert metrics.metrics == {"coverage": 0.5}
    listed = await perform(dispatcher, "ListSolutionVersions", solutionArn=solution)
    assert [each.solution_version_arn for each in listed.solution_versions] == [new, old]

    await put_item(database)
    [next_renewal] = await begun(0)
    await end(store, next_renewal, "renewed again")
    await put_item(database)
    assert await begun(0) == [], "half an hour has not passed"
    assert len(await begun(31)) == 1
    await perform(dispatcher, "DeleteCampaign", campaignArn=served_arn(solution, "pinned"))
    await perform(dispatcher, "DeleteCampaign", campaignArn=served_arn(solution, "served"))
    await end_deletions(store)
    await perform(dispatcher, "DeleteSolution", solutionArn=solution)
    assert await store.fetchval("SELECT count(*) FROM resources WHERE type = 'model-renewal'") == 0


def served_arn(solution: str, name: str) -> str:
    return solution.replace("solution/alike", f"campaign/{name}")


async def test_a_renewal_that_fails_leaves_the_model(
    dispatcher: OperationDispatcher, store: Database, database: MigratedDatabase, solution: str
) -> None:
    version = await version_of(dispatcher, store, solution, "one")
    await store.execute("UPDATE resources SET created_at = created_at - interval '1 hour'")
    await put_item(database)
    schedule = AutoTraining(store, Settings())
    [failed] = await schedule.begin_due()
    row = await stored(store, failed)
    await resources.in_account_of(store, row).set_status(row, Status.FAILED, "No memory was left.")
    await store.execute("UPDATE resources SET created_at = created_at - interval '1 hour'")

    [next_renewal] = await schedule.begin_due()

    assert next_renewal != failed
    assert (await stored(store, version)).facts["model_sha256"] == digest("one")
    assert await store.fetchval("SELECT count(*) FROM resources WHERE type = 'model-renewal'") == 1


@pytest.mark.parametrize("operation", ["CreateSolution", "UpdateSolution"])
async def test_incremental_updates_are_for_the_recipe_that_has_them(
    dispatcher: OperationDispatcher, operation: str
) -> None:
    group = (await perform(dispatcher, "CreateDatasetGroup", name="shop")).dataset_group_arn
    plain: dict[str, Any] = {"name": "plain", "datasetGroupArn": group, "recipeArn": RECIPE}
    if operation == "UpdateSolution":
        plain = {"solutionArn": (await perform(dispatcher, "CreateSolution", **plain)).solution_arn}

    with pytest.raises(WireError, match="only by aws-semantic-similarity") as caught:
        await perform(dispatcher, operation, **plain, performIncrementalUpdate=True)

    assert caught.value.code == "InvalidInputException"
    await perform(dispatcher, operation, **plain, performIncrementalUpdate=False)
