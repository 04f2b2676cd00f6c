"""The trainer's processes, with the real engine at the other end of boto3, and the loader behind."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import boto3
import httpx
import pytest
import pytest_asyncio
import redis

from shared.events.topics import BATCHES, TRAINING_REQUESTS
from shared.settings import KafkaSettings
from tests.support.engine import bootstrap, call
from tests.support.kafka import kafka_environment, skip_to_end
from tests.support.processes import Process, process
from tests.support.stack import Components, Database, ObjectStore
from tests.support.tenants import SECRET_KEY, SERVICE_KEY
from tests.support.waiting import PATIENCE

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
USERS, ITEMS, EVENTS = 80, 60, 2_500


@dataclass
class Installation:
    """The processes that a run goes through, each to be started and killed."""

    environment: dict[str, str]
    folder: Path
    started: ExitStack
    keys: dict[str, str]
    s3: Any
    running: dict[str, Process] = field(default_factory=dict)

    def start(self, service: str, command: str, **more: str) -> Process:
        entered = self.started.enter_context(
            process(service, command, self.environment | more, self.folder, ready=command == "serve")
        )
        self.running[f"{service}-{command}"] = entered
        return entered

    def kill(self, name: str) -> None:
        self.running.pop(name).kill()

    def ask(self, tenant: str = "default", **body: str) -> int:
        """Start a run as an operator does."""
        answer = self.post_run(tenant, **body)
        assert answer.status_code == 202, answer.text
        return int(answer.json()["run"])

    def post_run(self, tenant: str, **body: str) -> httpx.Response:
        """Ask for a run of a tenant with the service key."""
        return httpx.post(
            f"{self.running['trainer-serve'].url}/v1/runs",
            json=body,
            headers={"x-api-key": SERVICE_KEY, "x-endcap-tenant": tenant},
            timeout=PATIENCE,
        )

    def objects(self, prefix: str) -> list[str]:
        """The keys below a prefix of the data bucket."""
        found = self.s3.list_objects_v2(Bucket=self.environment["ENDCAP_DATA_BUCKET"], Prefix=prefix)
        return [entry["Key"] for entry in found.get("Contents", [])]

    def run(self, number: int, tenant: str = "default") -> dict[str, Any]:
        """What an operator sees of it."""
        answer = httpx.get(
            f"{self.running['trainer-serve'].url}/v1/runs/{number}",
            headers={"x-api-key": SERVICE_KEY, "x-endcap-tenant": tenant},
            timeout=PATIENCE,
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture(scope="module")
def installation(
    components: Components,
    module_database: Database,
    s3: ObjectStore,
    kafka_settings: KafkaSettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """One for all tests of a module, since seven processes take their time to start."""
    folder = tmp_path_factory.mktemp("trainer")
    bucket = f"data-{uuid.uuid4().hex[:8]}"
    address = components.start("redis").environment["REDIS_URL"]
    client: Any = redis.Redis.from_url(address)
    with client:
        client.flushdb()
    environment = {
        **module_database.environment,
        **s3.environment,
        "REDIS_URL": address,
        **kafka_environment(kafka_settings),
        "ENDCAP_DATA_BUCKET": bucket,
        "ENDCAP_UPLOADS_BUCKET": f"{bucket}-uploads",
        "ENDCAP_SECRET_KEY": SECRET_KEY,
        "ENDCAP_SERVICE_KEY": SERVICE_KEY,
        "ENGINE_WORK_FOLDER": str(folder / "work"),
        "TRAINER_SCHEDULE": "",
        "TRAINER_KEEP_RUNS": "1",
    }
    for topic, group in ((TRAINING_REQUESTS, "trainer"), (BATCHES, "loader")):
        asyncio.run(skip_to_end(kafka_settings, topic, group))
    keys = bootstrap(environment, folder / "keys.json")
    with ExitStack() as started:
        parts = Installation(environment, folder, started, keys, s3.client())
        engine = parts.start("engine", "serve")
        parts.environment["AWS_ENDPOINT_URL_PERSONALIZE"] = engine.url
        parts.start("engine", "worker")
        parts.start("trainer", "serve")
        parts.start("trainer", "worker")
        parts.start("loader", "worker")
        yield parts


@pytest_asyncio.fixture(scope="module")
async def administrator(module_database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(module_database.url)
    yield connection
    await connection.close()


@pytest_asyncio.fixture(scope="module")
async def shop(administrator: asyncpg.Connection) -> None:
    """Customers of two tastes, a catalogue, and a few guests."""
    dice = random.Random(7)
    await administrator.executemany(
        "INSERT INTO sync.items (tenant, item_id, name, category, price) VALUES ('default', $1, $2, $3, $4)",
        [(f"item-{n}", f"Item {n}", f"taste-{n % 2}", 1.0 + n) for n in range(ITEMS)],
    )
    await administrator.executemany(
        "INSERT INTO sync.users (tenant, user_id, country) VALUES ('default', $1, $2)",
        [(f"user-{n}", "Germany" if n % 2 else "France") for n in range(USERS)],
    )
    rows = []
    for number in range(EVENTS):
        user = dice.randrange(USERS)
        item = 2 * dice.randrange(ITEMS // 2) + user % 2
        at = NOON - timedelta(minutes=dice.randrange(200_000))
        guest = number % 50 == 0
        who = (None, f"order:{number}") if guest else (f"user-{user}", None)
        rows.append((f"event-{number}", *who, f"item-{item}", at, number))
    await administrator.executemany(
        "INSERT INTO tracker.interactions (tenant, event_id, user_id, session_id, event_type, item_id, "
        "source, occurred_at, received_at, historical, fingerprint) "
        "VALUES ('default', $1, $2, $3, 'purchase', $4, 'order', $5, $5, true, $6)",
        rows,
    )


@pytest.fixture(scope="module")
def second_account(installation: Installation) -> str:
    """The tenant of another account's dataset group, which has the name of the first account's group."""
    account = "000000000001"
    made = call("keys", "create", "aws", "--account", account, environment=installation.environment)
    assert made.returncode == 0, made.stderr
    pair = dict(line.split("=", 1) for line in made.stdout.split())
    client = boto3.client(
        "personalize",
        endpoint_url=installation.running["engine-serve"].url,
        region_name=installation.environment["AWS_REGION"],
        aws_access_key_id=pair["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=pair["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_dataset_group(name="default")
    return "default-2"
