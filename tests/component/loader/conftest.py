"""The loader's real worker process, with real Kafka, Postgres, Redis and object store around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from shared.events.topics import BATCHES
from shared.kafka import Publisher
from shared.settings import KafkaSettings
from tests.support.kafka import kafka_environment, remove_members
from tests.support.processes import Process, process
from tests.support.stack import Database, ObjectStore


@dataclass
class Worker:
    """`python -m services.loader worker`, to be started and killed."""

    environment: dict[str, str]
    folder: Path
    started: ExitStack
    running: list[Process] = field(default_factory=list)

    def start(self) -> None:
        entered = self.started.enter_context(
            process("loader", "worker", self.environment, self.folder, ready=False)
        )
        self.running.append(entered)

    def kill(self) -> None:
        self.running.pop().kill()


@pytest.fixture
def worker(
    database: Database,
    redis_url: str,
    s3: ObjectStore,
    bucket: str,
    kafka_settings: KafkaSettings,
    tmp_path: Path,
) -> Iterator[Worker]:
    environment = {
        **database.environment,
        **s3.environment,
        "REDIS_URL": redis_url,
        **kafka_environment(kafka_settings),
        "ENDCAP_DATA_BUCKET": bucket,
        "LOADER_FOLLOW_SECONDS": "0.2",
        "LOADER_CLEAN_SECONDS": "1",
    }
    with ExitStack() as started:
        yield Worker(environment, tmp_path, started)
    # Else the group of the next test's worker would wait for those that were killed.
    asyncio.run(remove_members(kafka_settings, "loader"))


@pytest_asyncio.fixture
async def administrator(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.url, server_settings={"search_path": "loader"})
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def trainer(kafka_settings: KafkaSettings) -> AsyncIterator[Publisher]:
    """Says that runs are done, as the trainer does."""
    publisher = Publisher(kafka_settings, "trainer", [BATCHES])
    await publisher.start()
    yield publisher
    await publisher.stop()
