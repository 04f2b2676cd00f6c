"""The buckets that metric attributions have to count: closed ones whose events have changed."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from services.engine.domain.resources import NewResource, ResourceType
from services.engine.domain.state import MetricAttribution
from services.engine.jobs.attribution_scheduler import AttributionScheduler
from services.engine.store import attributions
from services.engine.store.keys import Keys
from services.engine.store.resources import Resources
from shared import jobs
from shared.aws.personalize.recommendation_ids import RecommendationIds, signing_key, source_among
from shared.postgres import Database
from shared.settings import PostgresSettings
from tests.support.stack import Database as MigratedDatabase

ACCOUNT = "000000000000"
DOCUMENT = {
    "datasetGroupArn": f"arn:aws:personalize:eu-west-1:{ACCOUNT}:dataset-group/shop",
    "metricsOutputConfig": {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/r"},
}
QUARTER = 900
# So many seconds after its end a quarter of an hour is closed, and one more for clocks that differ.
CLOSING = 31
# So many seconds has a test before the next one is closed.
ENOUGH = 60


@pytest.fixture
def now() -> int:
    """The end of the last closed quarter of an hour, with time enough left until the next for a test."""
    left = QUARTER - (time.time() - CLOSING) % QUARTER
    if left < ENOUGH:
        time.sleep(left)
    return int(time.time() - CLOSING) // QUARTER * QUARTER


@pytest.fixture
async def store(database: MigratedDatabase) -> AsyncIterator[Database]:
    pool = Database(PostgresSettings(database_url=database.role_url("engine")), "engine")
    await pool.start()
    await Keys(pool).add_account(ACCOUNT)
    async with pool.transaction() as connection:
        resources = Resources(connection, ACCOUNT, None, "eu-west-1")
        await resources.add_tenant("shop", "shop")
        metric = {"metricName": "m", "eventType": "Purchase", "expression": "SAMPLECOUNT()"}
        facts = {"metrics": [metric]}
        new = NewResource(
            ResourceType.METRIC_ATTRIBUTION, "metric-attribution/a", "a", "shop", DOCUMENT, facts=facts
        )
        await resources.add(new)
        await connection.execute("UPDATE resources SET created_at = created_at - interval '1 day'")
    yield pool
    await pool.stop()


async def happened(database: MigratedDatabase, now: int, *seconds: int, kind: str = "purchase") -> None:
    """Events so many seconds before the last whole quarter of an hour, stored now."""
    connection = await asyncpg.connect(database.url)
    try:
        for second in seconds:
            await connection.execute(
                "INSERT INTO tracker.interactions (tenant, event_id, user_id, item_id, event_type, source, "
                "occurred_at, received_at, historical, fingerprint) "
                "VALUES ('shop', $1, 'u', 'i', $2, 'personalize', to_timestamp($3), now(), false, 0)",
                uuid.uuid4().hex,
                kind,
                now - second,
            )
    finally:
        await connection.close()


async def the_attribution(store: Database) -> MetricAttribution:
    [row] = await attributions.list_active(store)
    return MetricAttribution.of(row)


async def queued(store: Database) -> list[tuple[int, int]]:
    """(bucket, events) of every count that was queued, in their order."""
    await AttributionScheduler(store, 24.0).enqueue_due()
    rows = await store.fetch("SELECT payload FROM jobs WHERE kind = 'attribution' ORDER BY id")
    return [(row["payload"]["bucket"], row["payload"]["events"]) for row in rows]


async def test_a_recommendation_is_of_the_campaign_or_recommender_that_gave_it(store: Database) -> None:
    async with store.transaction() as connection:
        resources = Resources(connection, ACCOUNT, None, "eu-west-1")
        for kind, facts in (
            (ResourceType.CAMPAIGN, {}),
            (ResourceType.RECOMMENDER, {"model_uri": "s3://a/b"}),
        ):
            await resources.add(NewResource(kind, f"{kind}/home", "home", "shop", {}, facts=facts))

    origin = source_among(await attributions.recommendation_sources(store, "shop"), "shop")
    ids = RecommendationIds(signing_key("secret"))
    arns = [
        origin(ids.new("shop", name, 3, 1_790_000_000_000)) for name in ("home", "recommender/home", "gone")
    ]

    assert arns == [
        f"arn:aws:personalize:eu-west-1:{ACCOUNT}:campaign/home",
        f"arn:aws:personalize:eu-west-1:{ACCOUNT}:recommender/home",
        None,
    ]


async def test_a_bucket_is_counted_when_its_events_changed(
    store: Database, database: MigratedDatabase, now: int
) -> None:
    await happened(database, now, 1, 2, 901)
    await happened(database, now, 1, 2000, kind="view")
    await happened(database, now, -30, 3 * 86_400)

    first = await queued(store)
    repeated = await queued(store)

    # Neither the open bucket, nor other types, nor what was before the metric attribution was made.
    assert first == repeated == [(now - 1800, 1), (now - 900, 2)]

    attribution = await the_attribution(store)
    async with store.transaction() as connection:
        looked_at = await attributions.lock_last_scan(connection, attribution)
        assert looked_at is not None
        # Nobody else looks now, and the resource itself stays free for who changes it.
        assert await AttributionScheduler(store, 24.0).enqueue_due() == 0
        await store.execute("SELECT FROM resources WHERE id = $1 FOR UPDATE NOWAIT", attribution.id)
        for bucket, events in await attributions.changed_buckets(
            connection, attribution, ["purchase"], looked_at
        ):
            await attributions.save_bucket(
                connection, attribution.id, bucket, events, {("m", "mail"): float(events)}
            )
    assert await queued(store) == first
    await happened(database, now, 3)

    assert await queued(store) == [*first, (now - 900, 3)]


async def test_a_bucket_that_a_claim_has_left_is_counted_again(
    store: Database, database: MigratedDatabase, now: int
) -> None:
    await happened(database, now, 1, 2, 901)
    await queued(store)
    attribution = await the_attribution(store)
    async with store.transaction() as connection:
        looked_at = await attributions.lock_last_scan(connection, attribution)
        assert looked_at is not None
        for bucket, events in await attributions.changed_buckets(
            connection, attribution, ["purchase"], looked_at
        ):
            await attributions.save_bucket(
                connection, attribution.id, bucket, events, {("m", "mail"): float(events)}
            )
    tracker = await asyncpg.connect(database.url)
    try:
        # As the tracker does when an order takes the place of a claim: another time, and long ago stored.
        await tracker.execute(
            "WITH moved AS (UPDATE tracker.interactions SET occurred_at = occurred_at - interval '20 days', "
            "stored_at = now() WHERE occurred_at = to_timestamp($1) RETURNING event_id) "
            "INSERT INTO tracker.event_conflicts (tenant, event_id, fingerprint, event, kept) "
            "SELECT 'shop', event_id, 1, jsonb_build_object('event_type', 'purchase', "
            "'occurred_at', to_timestamp($1)), 'order' FROM moved",
            float(now - 2),
        )
    finally:
        await tracker.close()

    assert (await queued(store))[-1] == (now - 900, 1)


async def test_one_that_cannot_be_looked_at_does_not_hold_up_the_others(
    store: Database, database: MigratedDatabase, now: int
) -> None:
    async with store.transaction() as connection:
        connected = Resources(connection, ACCOUNT, None, "eu-west-1")
        first = await connected.load(MetricAttribution, "metric-attribution/a")
        assert first is not None
        document, facts = first.document.to_json(), first.facts.to_json()
        for name in "bc":
            path = f"metric-attribution/{name}"
            new = NewResource(ResourceType.METRIC_ATTRIBUTION, path, name, "shop", document, facts=facts)
            await connected.add(new)
        wrong = first.facts.metrics[0].model_copy(update={"expression": "what nobody can read"})
        await connected.save(first, facts=first.facts.merged({"metrics": [wrong]}))
        await connection.execute("UPDATE resources SET document = '{}' WHERE name = 'b'")
        await connection.execute("UPDATE resources SET created_at = created_at - interval '1 day'")
    await happened(database, now, 1)

    assert [attribution.name for attribution in await attributions.list_active(store)] == ["a", "b", "c"]
    assert await queued(store) == [(now - 900, 1)]


async def test_a_count_that_failed_is_queued_again_after_an_hour(
    store: Database, database: MigratedDatabase, now: int
) -> None:
    await happened(database, now, 1)
    first = await queued(store)
    await store.execute("UPDATE jobs SET status = 'failed', finished_at = now() - interval '50 minutes'")
    # Its events were stored long before anybody looks again.
    connection = await asyncpg.connect(database.url)
    await connection.execute("UPDATE tracker.interactions SET stored_at = now() - interval '2 hours'")
    await connection.close()
    await attributions.forget(store, 24.0)
    early = await queued(store)
    await store.execute("UPDATE jobs SET finished_at = now() - interval '70 minutes'")
    await attributions.forget(store, 24.0)
    gone = await store.fetch("TABLE jobs")

    assert first == early == [(now - 900, 1)]
    assert (gone, await queued(store)) == ([], first)


async def test_the_file_of_an_import_that_failed_is_tried_again_while_its_rows_are_there(
    store: Database,
) -> None:
    attribution = await the_attribution(store)
    payload = {"resource": attribution.id, "import": 7, "rows": ["shop/datasets/a.parquet"], "began": 1}
    for key in ("late", "soon", "gone"):
        async with store.transaction() as connection:
            await jobs.enqueue(connection, "attribution", key, payload, tenant="shop")
    await store.execute(
        "UPDATE jobs SET status = 'failed', attempts = 3, retries = 9, error = 'away', "
        "finished_at = now() - make_interval(mins => CASE key WHEN 'soon' THEN 50 ELSE 70 END), "
        "created_at = now() - make_interval(hours => CASE key WHEN 'gone' THEN 25 ELSE 2 END)"
    )

    await attributions.forget(store, 24.0)

    rows = await store.fetch("SELECT key, status, attempts, retries, error FROM jobs ORDER BY key")
    assert [tuple(row) for row in rows] == [("late", "queued", 0, 0, None), ("soon", "failed", 3, 9, "away")]
