"""State topics replace what the views contained before Kafka was available."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import orjson
import pytest

from services.recommender.store.campaigns import Campaigns
from services.recommender.store.catalogues import Catalogues
from services.recommender.store.filters import Filters
from services.recommender.store.guarded_database import GuardedDatabase
from shared.events import CampaignChanged, FilterChanged, ItemChanged
from shared.events.topics import CAMPAIGNS, FILTERS, ITEMS
from shared.kafka import Publisher, Record, StateTable, encoded
from shared.kafka.producer import Producer
from shared.postgres import Database as Pool
from shared.settings import KafkaSettings, PostgresSettings
from tests.support.kafka import fresh_topic, running
from tests.support.stack import Database, ObjectStore
from tests.support.tenants import make_tenant
from tests.support.waiting import PATIENCE, eventually

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def kafka(kafka_settings: KafkaSettings) -> KafkaSettings:
    return kafka_settings


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    pool = Pool(PostgresSettings(database_url=database.role_url("recommender")), "recommender")
    async with running(pool):
        yield pool


async def write(database: Database, statement: str) -> None:
    connection = await asyncpg.connect(database.url)
    await connection.execute(statement)
    await connection.close()


async def test_an_item_whose_tombstone_was_compacted_is_withdrawn(
    kafka: KafkaSettings, database: Database, pool: Pool
) -> None:
    await write(
        database,
        "INSERT INTO sync.items (tenant, item_id, name) "
        "VALUES ('shop', 'kept', 'Cup'), ('shop', 'gone', 'Mug')",
    )
    topic = await fresh_topic(kafka, ITEMS, service="sync")
    kept = ItemChanged(event_id="1", tenant="shop", occurred_at=NOW, item_id="kept", name="Cup")
    publisher = Publisher(kafka, "sync", [topic])
    async with running(publisher):
        await publisher.publish(topic, [kept], within=PATIENCE)
        # One that was deleted before this process began: its lists may name it still.
        await publisher.publish_raw(topic.name, [Record(b"shop:deleted", None)], within=PATIENCE)
    catalogues = Catalogues(pool)
    await catalogues._read_view()
    before = [catalogues.of("shop").is_withdrawn(item) for item in ("kept", "gone")]

    table = StateTable[ItemChanged](kafka, topic, catalogues.apply, catalogues.retain, keep=False)
    catalogues.follow(table)
    async with running(table):
        await eventually(lambda: table.caught_up)
        await catalogues._read_view()  # a look that began before

    assert before == [False, False]
    withdrawn = [catalogues.of("shop").is_withdrawn(item) for item in ("kept", "gone", "deleted")]
    assert withdrawn == [False, True, True]
    assert (len(catalogues.of("shop")), table.states) == (1, {})


async def test_a_campaign_whose_tombstone_was_compacted_is_removed(
    kafka: KafkaSettings, database: Database, pool: Pool, s3: ObjectStore, tmp_path: Path
) -> None:
    await make_tenant(database, "shop")
    await write(
        database,
        "INSERT INTO engine.resources (account, tenant, type, path, arn, name, status, document, facts) "
        "SELECT '000000000000', 'shop', 'campaign', 'campaign/gone', "
        "'arn:aws:personalize:eu-west-1:000000000000:campaign/gone', 'gone', 'ACTIVE', '{}', "
        """'{"recipe": "r", "solution_version_arn": "v", "model_uri": "s3://b/m", """
        f"""\"model_sha256\": \"{"0" * 64}\"}}'""",
    )
    campaigns = Campaigns(s3.client(), tmp_path, GuardedDatabase(pool, 5), Catalogues(pool))
    before = await campaigns.find("shop", None, "gone")

    topic = await fresh_topic(kafka, CAMPAIGNS, service="engine")
    table = StateTable[CampaignChanged](kafka, topic, campaigns.apply, campaigns.retain)
    async with running(table):
        await eventually(lambda: table.caught_up)
    await write(database, "DELETE FROM engine.resources WHERE name = 'gone'")

    assert before is not None
    assert await campaigns.find("shop", None, "gone") is None
    assert await campaigns.find(None, "000000000000", "gone") is None


async def test_a_model_sha256_or_uri_with_a_path_removes_nothing(
    kafka: KafkaSettings, database: Database, pool: Pool, s3: ObjectStore, bucket: str, tmp_path: Path
) -> None:
    """A record or row that names ../victim is ignored; the valid ones are applied."""
    victim, models = tmp_path / "victim", tmp_path / "models"
    for folder in (victim, models):
        folder.mkdir()
    (victim / "file").write_text("not a model")
    topic = await fresh_topic(kafka, CAMPAIGNS, service="engine")
    good = campaign_changed("good", bucket)
    document = orjson.loads(good.model_dump_json())
    await make_tenant(database, "shop")
    await write(
        database,
        "INSERT INTO engine.resources (account, tenant, type, path, arn, name, status, document, facts) "
        "SELECT '000000000000', 'shop', 'campaign', 'campaign/told', 'arn:told', 'told', 'ACTIVE', '{}', "
        """'{"recipe": "r", "solution_version_arn": "v", "model_uri": "s3://b/m", """
        """"model_sha256": "../victim"}'""",
    )
    records = [
        replace(
            encoded(good, "engine", ""), key=f"shop:{name}".encode(), value=orjson.dumps(document | change)
        )
        for name, change in (
            ("bad", {"name": "bad", "model_sha256": "../victim"}),
            ("worse", {"name": "worse", "model_uri": f"s3://{bucket}/../victim"}),
            ("good", {}),
        )
    ]
    producer = Producer(kafka, "test")
    producer.start()
    await producer.deliver(topic.name, records, PATIENCE)
    await producer.stop()

    campaigns = Campaigns(s3.client(), models, GuardedDatabase(pool, 5), Catalogues(pool), keep=0)
    table = StateTable[CampaignChanged](kafka, topic, campaigns.apply, campaigns.retain)
    async with running(campaigns), running(table):
        await eventually(lambda: table.caught_up)
        known = await campaigns.find("shop", None, "good")
        refused = [await campaigns.find("shop", None, name) for name in ("bad", "worse", "told")]

    assert known is not None
    assert refused == [None, None, None]
    assert (victim / "file").read_text() == "not a model"


def campaign_changed(name: str, bucket: str) -> CampaignChanged:
    return CampaignChanged(
        event_id=name,
        tenant="shop",
        occurred_at=NOW,
        name=name,
        arn=f"arn:aws:personalize:eu-west-1:000000000000:campaign/{name}",
        status="ACTIVE",
        recipe="r",
        solution_version_arn="v",
        model_uri=f"s3://{bucket}/models/{name}",
        model_sha256="0" * 64,
    )


async def test_a_filter_is_read_from_the_view_and_removed_without_a_tombstone(
    kafka: KafkaSettings, database: Database, pool: Pool
) -> None:
    await make_tenant(database, "filtering")
    await write(
        database,
        "INSERT INTO engine.resources (account, tenant, type, path, arn, name, status, document, facts) "
        "SELECT '000000000000', 'filtering', 'filter', 'filter/' || name, 'arn:' || name, name, 'ACTIVE', "
        "jsonb_build_object('filterExpression', expression), '{}' "
        "FROM (VALUES ('cheap', 'INCLUDE ItemID WHERE Items.PRICE < 3'), ('odd', 'INCLUDE')) "
        "AS made (name, expression)",
    )
    filters = Filters(GuardedDatabase(pool, 5))
    known_filter = await filters.find("filtering", "cheap")
    assert known_filter is not None
    assert known_filter.expression == "INCLUDE ItemID WHERE Items.PRICE < 3"
    await write(
        database,
        "INSERT INTO engine.resources (account, tenant, type, path, arn, name, status, document, facts) "
        "VALUES ('000000000000', 'filtering', 'filter', 'filter/new', 'arn:new', 'new', 'ACTIVE', "
        """'{"filterExpression": "EXCLUDE ItemID WHERE Items.PRICE < 3"}', '{}')""",
    )
    # A program asks as soon as it has made a filter, and several of its requests at once.
    results = await asyncio.gather(*(filters.find("filtering", "new") for _ in range(3)))
    assert None not in results
    assert await filters.find("filtering", "odd") is None
    assert await filters.find("another", "cheap") is None

    topic = await fresh_topic(kafka, FILTERS, service="engine")
    table = StateTable[FilterChanged](kafka, topic, filters.apply, filters.retain)
    async with running(table):
        await eventually(lambda: table.caught_up)
    await write(database, "DELETE FROM engine.resources WHERE tenant = 'filtering'")
    assert await filters.find("filtering", "cheap") is None
