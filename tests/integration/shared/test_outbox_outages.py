"""The outbox while Kafka does not confirm and Postgres goes away: no event is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.local.ports import Ports
from deploy.local.stack import Stack
from shared.errors import Transient
from shared.events import InteractionRecorded
from shared.events.topics import Topic
from shared.kafka import Publisher
from shared.outbox import Relay
from shared.postgres import UNAVAILABLE, Database, migrate
from shared.settings import KafkaSettings, PostgresSettings
from tests.integration.shared.databases import OUTBOX, pool_on
from tests.integration.shared.outbox_rows import append, until_relayed
from tests.support.folders import stack_folder
from tests.support.kafka import fresh_topic, interactions, raw_records, running
from tests.support.stack import Database as OwnDatabase


@pytest_asyncio.fixture
async def pool(empty_database: OwnDatabase, tmp_path: Path) -> AsyncIterator[Database]:
    async with pool_on(empty_database.url, tmp_path, OUTBOX) as database:
        yield database


@pytest.fixture
def own_postgres() -> Iterator[Stack]:
    """A server that may be killed; it is started again at once."""
    with stack_folder("postgres") as folder:
        stack = Stack(folder, Ports.free(), {}, durable=False)
        stack.launch(["postgres"], ends_with_caller=True)
        try:
            stack.start("postgres")
            yield stack
        finally:
            stack.stop()


async def test_what_kafka_does_not_confirm_stays_and_is_published_later(
    kafka: KafkaSettings, pool: Database
) -> None:
    topic = await fresh_topic(kafka)
    events = interactions(200)
    publisher = Flaky(kafka, topic)

    async with running(publisher, Relay(pool, publisher, batch=20)):
        await append(pool, topic, *events)
        await until_relayed(pool)

    ids = [
        InteractionRecorded.model_validate_json(record.value).event_id
        for record in await raw_records(kafka, topic.name)
    ]
    assert set(ids) == {event.event_id for event in events}
    assert len(ids) > len(events), "an unknown outcome is published again under the same ids"


class Flaky(Publisher):
    """Loses every third confirmation, as a network does."""

    def __init__(self, settings: KafkaSettings, topic: Topic) -> None:
        super().__init__(settings, "tracker", [topic])
        self.count = 0

    async def publish_raw(self, *args: object, **options: object) -> None:
        self.count += 1
        await super().publish_raw(*args, **options)  # type: ignore[arg-type]
        if self.count % 3 == 0:
            raise Transient("the confirmation is lost")


async def test_a_relay_that_is_cut_off_from_postgres_loses_nothing(
    kafka: KafkaSettings, pool: Database, empty_database: OwnDatabase
) -> None:
    topic = await fresh_topic(kafka)
    events = interactions(1_000)
    publisher = Publisher(kafka, "tracker", [topic])
    other = Database(PostgresSettings(database_url=empty_database.url), "public")

    async with running(other, publisher, Relay(pool, publisher, batch=25)):
        for begin in range(0, len(events), 100):
            await append_somehow(pool, topic, events[begin : begin + 100])
            # What a restart of Postgres does to its clients.
            await other.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await until_relayed(pool)

    ids = {
        InteractionRecorded.model_validate_json(record.value).event_id
        for record in await raw_records(kafka, topic.name)
    }
    assert ids == {event.event_id for event in events}


async def test_a_killed_postgres_loses_no_event_of_a_committed_transaction(
    kafka: KafkaSettings, tmp_path: Path, own_postgres: Stack
) -> None:
    topic = await fresh_topic(kafka)
    events = interactions(2_000)
    (tmp_path / "0001_pre_outbox.sql").write_text(OUTBOX)
    await migrate(own_postgres.postgres_admin, "tracker", tmp_path)
    pool = Database(PostgresSettings(database_url=own_postgres.postgres_admin), "tracker")
    publisher = Publisher(kafka, "tracker", [topic])

    async with running(pool, publisher, Relay(pool, publisher, batch=25)):
        for begin in range(0, len(events), 100):
            await append_somehow(pool, topic, events[begin : begin + 100])
            if begin == len(events) // 2:
                own_postgres.kill("postgres")
        await until_relayed(pool)

    ids = {
        InteractionRecorded.model_validate_json(record.value).event_id
        for record in await raw_records(kafka, topic.name)
    }
    assert ids == {event.event_id for event in events}


async def append_somehow(pool: Database, topic: Topic, events: list[InteractionRecorded]) -> None:
    """As a service would: again until its transaction has committed."""
    while True:
        try:
            await append(pool, topic, *events)
        except UNAVAILABLE:
            await asyncio.sleep(0.05)
        else:
            return
