"""A deleted resource is DELETE PENDING, then DELETE IN_PROGRESS, then gone, as programs wait for it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from services.engine.domain.resources import NewResource, ResourceType
from services.engine.personalize.dispatcher import OperationDispatcher
from services.engine.settings import Settings
from services.engine.store import cleanup, resources, rows
from services.engine.store.resources import Resources
from shared.aws import PageTokens, WireError
from shared.postgres import Database
from tests.support.control_plane import ACCOUNT, RECIPE, perform
from tests.support.deletions import end_deletions

FIELDS = [{"name": name, "type": "string"} for name in ("USER_ID", "ITEM_ID")]
SCHEMA = {"type": "record", "name": "I", "namespace": "n", "version": "1.0"}
METRICS = [{"eventType": "view", "metricName": "views", "expression": "SAMPLECOUNT()"}]


class Deletable(NamedTuple):
    """A kind of resource by the names that its operations and members have."""

    type: ResourceType
    word: str
    listed: str

    @property
    def member(self) -> str:
        return f"{self.word[0].lower()}{self.word[1:]}Arn"


KINDS = (
    Deletable(ResourceType.CAMPAIGN, "Campaign", "campaigns"),
    Deletable(ResourceType.FILTER, "Filter", "filters"),
    Deletable(ResourceType.RECOMMENDER, "Recommender", "recommenders"),
    Deletable(ResourceType.EVENT_TRACKER, "EventTracker", "event_trackers"),
    Deletable(ResourceType.METRIC_ATTRIBUTION, "MetricAttribution", "metric_attributions"),
    Deletable(ResourceType.SOLUTION, "Solution", "solutions"),
    Deletable(ResourceType.DATASET, "Dataset", "datasets"),
    Deletable(ResourceType.DATASET_GROUP, "DatasetGroup", "dataset_groups"),
)
"""In the order in which they can be deleted."""


SECONDS = 3_600.0
"""How long deletions are shown here: no test may depend on how fast the machine is."""


@pytest.fixture(autouse=True)
def _slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "DELETE_PENDING_SECONDS", SECONDS / 2)
    monkeypatch.setattr(resources, "DELETE_SECONDS", SECONDS)
    monkeypatch.setattr(cleanup, "DELETE_SECONDS", SECONDS)


@pytest.fixture
async def shop(dispatcher: OperationDispatcher, store: Database) -> dict[ResourceType, str]:
    """One resource of each kind; those that a model is needed for are stored as a worker leaves them."""
    group = (
        await perform(dispatcher, "CreateDatasetGroup", name="shop", domain="ECOMMERCE")
    ).dataset_group_arn
    of_group = {"datasetGroupArn": group}
    fields = [*FIELDS, {"name": "TIMESTAMP", "type": "long"}, {"name": "EVENT_TYPE", "type": "string"}]
    schema = await perform(
        dispatcher,
        "CreateSchema",
        name="i",
        schema=json.dumps(SCHEMA | {"fields": fields}),
        domain="ECOMMERCE",
    )
    dataset = await perform(
        dispatcher,
        "CreateDataset",
        name="i",
        schemaArn=schema.schema_arn,
        datasetType="Interactions",
        **of_group,
    )
    solution = await perform(dispatcher, "CreateSolution", name="s", recipeArn=RECIPE, **of_group)
    tracker = await perform(dispatcher, "CreateEventTracker", name="t", **of_group)
    kept = await perform(
        dispatcher,
        "CreateFilter",
        name="f",
        filterExpression='INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("view")',
        **of_group,
    )
    arns = {
        ResourceType.DATASET_GROUP: group,
        ResourceType.DATASET: dataset.dataset_arn,
        ResourceType.SOLUTION: solution.solution_arn,
        ResourceType.EVENT_TRACKER: tracker.event_tracker_arn,
        ResourceType.FILTER: kept.filter_arn,
    }
    stored = Resources(store, ACCOUNT, None, "eu-west-1")
    config = {
        "metricsOutputConfig": {"roleArn": "arn:aws:iam::000000000000:role/r"},
        "datasetGroupArn": group,
    }
    served = {
        "recipe": "aws-sims",
        "solution_version_arn": f"{solution.solution_arn}/1",
        "model_uri": "s3://endcap-data/shop/models/s/1/",
        "model_sha256": "0" * 64,
    }
    for new in (
        NewResource(
            ResourceType.CAMPAIGN, "campaign/c", "c", "shop",
            {"solutionVersionArn": f"{solution.solution_arn}/1", "minProvisionedTPS": 1},
            "solution/s", facts=served,
        ),
        NewResource(
            ResourceType.RECOMMENDER, "recommender/r", "r", "shop",
            {"datasetGroupArn": group, "recipeArn": RECIPE}, "dataset-group/shop", facts=served,
        ),
        NewResource(
            ResourceType.METRIC_ATTRIBUTION, "metric-attribution/m", "m", "shop",
            config, "dataset-group/shop", facts={"metrics": METRICS},
        ),
    ):  # fmt: skip
        made = await stored.add(new)
        assert made is not None
        arns[new.type] = made.arn
    return arns


async def status(dispatcher: OperationDispatcher, kind: Deletable, arn: str) -> str:
    """Return what Describe and List both say."""
    described = await perform(dispatcher, f"Describe{kind.word}", **{kind.member: arn})
    [resource] = [value for _, value in described if hasattr(value, "status")]
    listing = await perform(dispatcher, f"List{kind.word}s")
    assert [each.status for each in getattr(listing, kind.listed)] == [resource.status]
    return str(resource.status)


async def refused(dispatcher: OperationDispatcher, operation: str, **body: Any) -> WireError:
    with pytest.raises(WireError) as caught:
        await perform(dispatcher, operation, **body)
    return caught.value


async def pass_time(store: Database, share: float) -> None:
    """Let a share of the time go by that deletions are shown for."""
    await store.execute(
        "UPDATE resources SET updated_at = now() - make_interval(secs => $1) WHERE status = 'DELETE PENDING'",
        SECONDS * share,
    )


async def test_every_kind_is_pending_then_in_progress_then_gone(
    dispatcher: OperationDispatcher, store: Database, shop: dict[ResourceType, str]
) -> None:
    parents = {
        ResourceType.CAMPAIGN: KINDS[5],
        ResourceType.DATASET: KINDS[7],
        ResourceType.SOLUTION: KINDS[7],
    }
    for kind in KINDS:
        named = {kind.member: shop[kind.type]}
        await perform(dispatcher, f"Delete{kind.word}", **named)

        await pass_time(store, 0)
        assert await status(dispatcher, kind, shop[kind.type]) == "DELETE PENDING"
        repeated = await refused(dispatcher, f"Delete{kind.word}", **named)
        assert (repeated.code, "is being deleted" in repeated.message) == ("ResourceInUseException", True)
        if parent := parents.get(kind.type):
            held = await refused(dispatcher, f"Delete{parent.word}", **{parent.member: shop[parent.type]})
            assert held.code == "ResourceInUseException"
            if kind.type is ResourceType.CAMPAIGN:
                assert "wait until that is deleted" in held.message

        await pass_time(store, 0.75)
        assert await status(dispatcher, kind, shop[kind.type]) == "DELETE IN_PROGRESS"

        await pass_time(store, 1.1)
        gone = await refused(dispatcher, f"Describe{kind.word}", **named)
        assert gone.code == "ResourceNotFoundException"
        listing = await perform(dispatcher, f"List{kind.word}s")
        assert getattr(listing, kind.listed) == []
        gone = await refused(dispatcher, f"Delete{kind.word}", **named)
        assert gone.code == "ResourceNotFoundException"


async def test_a_name_is_free_when_its_deletion_is_over(
    dispatcher: OperationDispatcher, store: Database, shop: dict[ResourceType, str]
) -> None:
    tracker = {"name": "t", "datasetGroupArn": shop[ResourceType.DATASET_GROUP]}
    solution = {"name": "s", "recipeArn": RECIPE, "datasetGroupArn": shop[ResourceType.DATASET_GROUP]}
    for kind in (KINDS[0], KINDS[3]):
        await perform(dispatcher, f"Delete{kind.word}", **{kind.member: shop[kind.type]})
    await pass_time(store, 0)
    taken = await refused(dispatcher, "CreateEventTracker", **tracker)
    await end_deletions(store)
    await perform(dispatcher, "DeleteSolution", solutionArn=shop[ResourceType.SOLUTION])
    await pass_time(store, 0)
    also_taken = await refused(dispatcher, "CreateSolution", **solution)
    below = await refused(dispatcher, "CreateSolutionVersion", solutionArn=shop[ResourceType.SOLUTION])
    await end_deletions(store)

    assert taken.code == also_taken.code == "ResourceAlreadyExistsException"
    assert below.code == "ResourceInUseException"
    assert (await perform(dispatcher, "CreateEventTracker", **tracker)).event_tracker_arn != shop[
        ResourceType.EVENT_TRACKER
    ]
    assert (await perform(dispatcher, "CreateSolution", **solution)).solution_arn == shop[
        ResourceType.SOLUTION
    ]


async def test_a_killed_process_delays_no_deletion(
    dispatcher: OperationDispatcher, store: Database, shop: dict[ResourceType, str]
) -> None:
    """Nothing in memory ends a deletion: whoever looks, then or later, sees the same."""
    await perform(dispatcher, "DeleteFilter", filterArn=shop[ResourceType.FILTER])
    await pass_time(store, 0)
    another = OperationDispatcher(store, Settings(), PageTokens())
    assert await status(another, KINDS[1], shop[ResourceType.FILTER]) == "DELETE PENDING"

    await end_deletions(store)
    gone = await refused(another, "DescribeFilter", filterArn=shop[ResourceType.FILTER])
    await cleanup.end_deletions(store)

    assert gone.code == "ResourceNotFoundException"
    assert await store.fetchval("SELECT count(*) FROM resources WHERE type = 'filter'") == 0
    assert await store.fetchval("SELECT count(*) FROM resources WHERE type = 'campaign'") == 1


async def test_other_services_see_no_deleted_resource(
    dispatcher: OperationDispatcher, store: Database, shop: dict[ResourceType, str]
) -> None:
    views = ("campaigns_v1", "filters_v1", "trackers_v1", "datasets_v1", "all_datasets_v1")
    before = [await store.fetchval(f"SELECT count(*) FROM {view}") for view in views]
    for kind in (KINDS[0], KINDS[1], KINDS[2], KINDS[3], KINDS[6]):
        await perform(dispatcher, f"Delete{kind.word}", **{kind.member: shop[kind.type]})
    after = [await store.fetchval(f"SELECT count(*) FROM {view}") for view in views]

    assert before == [2, 1, 1, 1, 1]
    assert after == [0, 0, 0, 0, 0]
