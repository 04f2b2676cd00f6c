"""The engine's two processes over real Postgres, S3 and Kafka, and boto3 as anybody has it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import asyncpg
import boto3
import pytest
from botocore.config import Config

from shared.settings import KafkaSettings
from tests.support.engine import bootstrap, engine_environment
from tests.support.processes import Process, process
from tests.support.stack import Database, ObjectStore, PostgresServer
from tests.support.waiting import until

ROLE = "arn:aws:iam::000000000000:role/anything"
ENDS = {"ACTIVE", "CREATE FAILED", "CREATE STOPPED"}
STATUSES = {"CREATE PENDING", "CREATE IN_PROGRESS", "CREATE STOPPING", *ENDS}


@dataclass
class Engine:
    """The running engine, its keys file, and clients that know it from the environment alone."""

    server: Process
    environment: dict[str, str]
    keys: dict[str, str]
    bucket: str
    folder: Path
    database: Database

    @cached_property
    def personalize(self) -> Any:
        """boto3's client."""
        return boto3.client("personalize")

    @cached_property
    def s3(self) -> Any:
        """boto3's client."""
        config = Config(s3={"addressing_style": "path"})
        return boto3.client("s3", region_name=self.environment["AWS_REGION"], config=config)

    def put(self, key: str, content: str | bytes) -> str:
        """Put a file into the test's bucket; gives its address."""
        body = content.encode() if isinstance(content, str) else content
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def get(self, key: str) -> bytes:
        """Read a file of the test's bucket."""
        content: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content

    def finished(self, describe: Callable[..., Any], **arn: str) -> dict[str, Any]:
        """Poll as every program does, until the status is one of the last words."""

        def described() -> dict[str, Any]:
            answer = describe(**arn)
            [resource] = [value for name, value in answer.items() if name != "ResponseMetadata"]
            assert resource["status"] in STATUSES
            return dict(resource)

        return until(described, f"{arn} ended", enough=lambda resource: resource["status"] in ENDS, every=0.1)


@contextmanager
def _running(database: Database, s3: ObjectStore, kafka: KafkaSettings, folder: Path) -> Iterator[Engine]:
    """The control plane, bootstrapped."""
    environment = engine_environment(database, s3, kafka, folder)
    keys = bootstrap(environment, folder / "keys.json")
    with process("engine", "serve", environment, folder) as server:
        yield Engine(server, environment, keys, "", folder, database)


@contextmanager
def _known(engine: Engine, s3: ObjectStore) -> Iterator[Engine]:
    """It has a bucket, and is what boto3 finds in the environment."""
    bucket = f"shop-{uuid.uuid4().hex[:8]}"
    s3.client().create_bucket(Bucket=bucket)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_PERSONALIZE", engine.server.url)
        patch.setenv("AWS_ENDPOINT_URL_S3", s3.endpoint)
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        patch.setenv("AWS_ACCESS_KEY_ID", engine.keys["access_key_id"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", engine.keys["secret_access_key"])
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setattr(boto3, "DEFAULT_SESSION", None)  # one that was there keeps the keys of then
        yield replace(engine, bucket=bucket)


@pytest.fixture(scope="session")
def shared_engine(
    postgres_server: PostgresServer,
    migrated_template: str,
    s3: ObjectStore,
    kafka_settings: KafkaSettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Engine]:
    """One for all modules whose dataset groups have names of their own: a start is seconds of processor."""
    with (
        postgres_server.database(template=migrated_template) as database,
        _running(database, s3, kafka_settings, tmp_path_factory.mktemp("engine")) as engine,
    ):
        yield engine


@pytest.fixture(scope="session")
def shared_worker(shared_engine: Engine) -> Iterator[Process]:
    """Its worker."""
    with process("engine", "worker", shared_engine.environment, shared_engine.folder) as running:
        yield running


@pytest.fixture(scope="module")
def own_engine(
    module_database: Database,
    s3: ObjectStore,
    kafka_settings: KafkaSettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Engine]:
    """A control plane that belongs to one module: nobody else makes anything in it, or works for it."""
    folder = tmp_path_factory.mktemp("engine")
    with _running(module_database, s3, kafka_settings, folder) as engine:
        yield engine


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest, s3: ObjectStore) -> Iterator[Engine]:
    """The control plane; the worker is another fixture. A module marked `own_engine` shares neither."""
    with _known(request.getfixturevalue(f"{_engine_scope(request)}_engine"), s3) as engine:
        yield engine


def _engine_scope(request: pytest.FixtureRequest) -> str:
    return "own" if request.node.get_closest_marker("own_engine") else "shared"


@pytest.fixture
def tracked_event(engine: Engine) -> Callable[..., None]:
    """Write an event as the tracker stores those of PutEvents."""

    def write(tenant: str, *, user: str, item: str, second: int) -> None:
        asyncio.run(_insert_event(engine.database.url, tenant, user, item, second))

    return write


async def _insert_event(url: str, tenant: str, user: str, item: str, second: int) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "INSERT INTO tracker.interactions (tenant, event_id, user_id, item_id, event_type, source, "
            "occurred_at, received_at, historical, fingerprint) "
            "VALUES ($1, $2, $3, $4, 'view', 'personalize', to_timestamp($5), now(), false, 0)",
            tenant,
            uuid.uuid4().hex,
            user,
            item,
            1_700_000_000 + second,
        )
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def worker(request: pytest.FixtureRequest) -> Process:
    """The engine's worker."""
    process: Process = request.getfixturevalue(f"{_engine_scope(request)}_worker")
    return process


@pytest.fixture(scope="module")
def own_worker(own_engine: Engine) -> Iterator[Process]:
    """The worker of a module's own engine."""
    with process("engine", "worker", own_engine.environment, own_engine.folder) as running:
        yield running
