"""Changes are one transaction: once per call, announced with the rows, swept when nothing needs them."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from services.engine.jobs.garbage_collector import GarbageCollector
from services.engine.personalize import event_trackers
from services.engine.personalize.dispatcher import OperationDispatcher
from services.engine.schedule import AutoTraining
from services.engine.settings import Settings
from services.engine.store.objects import ObjectStorage
from shared.aws import PageTokens, WireError
from shared.postgres import Database
from tests.support.control_plane import caller, perform
from tests.support.deletions import end_deletions
from tests.support.stack import ObjectStore


async def test_two_attempts_at_one_call_at_the_same_time_make_one_resource(
    dispatcher: OperationDispatcher,
) -> None:
    group = (await perform(dispatcher, "CreateDatasetGroup", name="shop")).dataset_group_arn
    call = caller(invocation=str(uuid.uuid4()))

    answers = await asyncio.gather(
        *(perform(dispatcher, "CreateEventTracker", call, name="a", datasetGroupArn=group) for _ in range(5))
    )

    ids = {
        answer.tracking_id if isinstance(answer, event_trackers.EventTrackerCreated) else answer["trackingId"]
        for answer in answers
    }
    assert len(ids) == 1


async def test_a_failed_call_is_not_stored(dispatcher: OperationDispatcher, store: Database) -> None:
    call = caller(invocation="one")
    with pytest.raises(WireError):
        await perform(
            dispatcher, "DeleteDatasetGroup", call, datasetGroupArn=f"arn:aws:personalize:::{'x'}/y"
        )

    group = (
        await perform(dispatcher, "CreateDatasetGroup", caller(invocation="two"), name="a")
    ).dataset_group_arn
    await perform(dispatcher, "DeleteDatasetGroup", call, datasetGroupArn=group)
    await end_deletions(store)

    with pytest.raises(WireError, match="There is no dataset group"):
        await perform(dispatcher, "DescribeDatasetGroup", datasetGroupArn=group)


async def test_accounts_see_nothing_of_each_other(dispatcher: OperationDispatcher) -> None:
    mine = (await perform(dispatcher, "CreateDatasetGroup", name="shop")).dataset_group_arn
    theirs = await perform(dispatcher, "CreateDatasetGroup", caller("000000000001"), name="shop")

    # The ARN's account says nothing: each account finds its own group of the name.
    described = await perform(
        dispatcher, "DescribeDatasetGroup", caller("000000000001"), datasetGroupArn=mine
    )
    listed = await perform(dispatcher, "ListDatasetGroups", caller("000000000001"))

    assert described.dataset_group.dataset_group_arn == theirs.dataset_group_arn != mine
    assert [group.dataset_group_arn for group in listed.dataset_groups] == [theirs.dataset_group_arn]


async def test_a_tenants_id_is_never_used_twice(dispatcher: OperationDispatcher, store: Database) -> None:
    for _ in range(3):
        arn = (await perform(dispatcher, "CreateDatasetGroup", name="Again_1")).dataset_group_arn
        await perform(dispatcher, "DeleteDatasetGroup", datasetGroupArn=arn)
        await end_deletions(store)

    rows = await store.fetch("TABLE tenants")
    assert {row["id"] for row in rows} == {"again-1", "again-1-2", "again-1-3"}
    assert all(row["retired_at"] for row in rows)


async def test_what_changes_is_announced_in_the_same_transaction(
    dispatcher: OperationDispatcher, store: Database
) -> None:
    group = (await perform(dispatcher, "CreateDatasetGroup", name="shop")).dataset_group_arn
    tracker = await perform(dispatcher, "CreateEventTracker", name="main", datasetGroupArn=group)
    await perform(dispatcher, "DeleteEventTracker", eventTrackerArn=tracker.event_tracker_arn)

    rows = await store.fetch("TABLE outbox")

    assert [(row["aggregatetype"], row["aggregateid"], row["type"]) for row in rows] == [
        ("trackers-v1", "shop:main", rows[0]["type"]),
        ("trackers-v1", "shop:main", "tombstone"),
    ]
    assert rows[0]["payload"]["tracking_id"] == tracker.tracking_id


async def test_what_a_deleted_group_held_is_swept_when_its_time_has_come(
    dispatcher: OperationDispatcher, store: Database, s3: ObjectStore, bucket: str
) -> None:
    client = s3.client()
    group = (await perform(dispatcher, "CreateDatasetGroup", name="sweep")).dataset_group_arn
    for key in ("sweep/models/a/1/meta.json", "sweep/runs/1/items.csv", "sweep-2/runs/1/items.csv"):
        client.put_object(Bucket=bucket, Key=key, Body=b"x")
    await perform(dispatcher, "DeleteDatasetGroup", datasetGroupArn=group)
    sweeper = GarbageCollector(store, ObjectStorage(client, bucket), Settings())

    await sweeper.run()
    kept = [each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]]
    await store.execute("UPDATE garbage SET delete_after = now() - interval '1 second'")
    await sweeper.run()
    left = [each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]]

    assert len(kept) == 3
    assert left == ["sweep-2/runs/1/items.csv"]
    assert await store.fetch("TABLE garbage") == []


async def test_limits_are_the_installations(store: Database) -> None:
    dispatcher = OperationDispatcher(store, Settings(max_pending_versions=1), PageTokens())
    group = (await perform(dispatcher, "CreateDatasetGroup", name="shop")).dataset_group_arn
    solution = await perform(
        dispatcher,
        "CreateSolution",
        name="a",
        datasetGroupArn=group,
        recipeArn="arn:aws:personalize:::recipe/aws-similar-items",
    )
    await perform(dispatcher, "CreateSolutionVersion", solutionArn=solution.solution_arn)

    with pytest.raises(WireError, match="PENDING or IN_PROGRESS status") as caught:
        await perform(dispatcher, "CreateSolutionVersion", solutionArn=solution.solution_arn)

    assert caught.value.code == "LimitExceededException"


async def test_a_solution_trains_itself_when_it_is_due_and_once(
    dispatcher: OperationDispatcher, store: Database
) -> None:
    group = (await perform(dispatcher, "CreateDatasetGroup", name="shop")).dataset_group_arn
    for name, more in {
        "weekly": {},
        "daily": {"solutionConfig": {"autoTrainingConfig": {"schedulingExpression": "rate(1 day)"}}},
        "by-hand": {"performAutoTraining": False},
        "trained": {},
    }.items():
        recipe = "arn:aws:personalize:::recipe/aws-similar-items"
        made = await perform(
            dispatcher, "CreateSolution", name=name, datasetGroupArn=group, recipeArn=recipe, **more
        )
    # A version that somebody makes within the hour stands in for the first automatic one.
    await perform(dispatcher, "CreateSolutionVersion", solutionArn=made.solution_arn)
    schedule = AutoTraining(store, Settings())

    async def begun(later: str) -> list[str]:
        await store.execute("UPDATE resources SET created_at = created_at - $1::text::interval", later)
        arns_of_workers = await asyncio.gather(schedule.begin_due(), schedule.begin_due())
        return sorted(arn.split("/")[1] for arns in arns_of_workers for arn in arns)

    assert await begun("30 minutes") == []
    assert await begun("29 minutes") == ["daily", "weekly"]
    assert await begun("25 hours") == ["daily"]
    assert await begun("6 days") == ["daily", "trained", "weekly"]
    await perform(dispatcher, "UpdateSolution", solutionArn=made.solution_arn, performAutoTraining=False)
    assert await begun("8 days") == ["daily", "weekly"]
    versions = (await perform(dispatcher, "ListSolutionVersions")).solution_versions
    assert [version.training_type for version in versions].count("MANUAL") == 1


async def test_a_solution_that_cannot_be_trained_does_not_hold_up_the_others(
    dispatcher: OperationDispatcher, store: Database
) -> None:
    group = (await perform(dispatcher, "CreateDatasetGroup", name="shop")).dataset_group_arn
    recipe = "arn:aws:personalize:::recipe/aws-similar-items"
    for name in ("first", "second"):
        await perform(dispatcher, "CreateSolution", name=name, datasetGroupArn=group, recipeArn=recipe)
    await store.execute("UPDATE resources SET created_at = created_at - interval '1 hour'")
    await store.execute("UPDATE resources SET facts = '{}' WHERE name = 'first'")

    assert [arn.split("/")[1] for arn in await AutoTraining(store, Settings()).begin_due()] == ["second"]
    versions = (await perform(dispatcher, "ListSolutionVersions")).solution_versions
    assert len(versions) == await store.fetchval("SELECT count(*) FROM jobs") == 1
