"""Who gets into the components of a stack: nobody on the machine without a password, and no file tells it."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import boto3
import httpx
import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from botocore.exceptions import ClientError
from pydantic import SecretStr

from deploy.local.components import postgres
from deploy.local.ports import LOOPBACK
from deploy.local.rpc import socket_path
from deploy.local.secrets import Secrets
from deploy.local.stack import Stack
from shared.events.topics import INTERACTIONS, UPLOADS
from shared.kafka.connection import client_options
from shared.kafka.grants import grants
from shared.kafka.topics import make_topics
from shared.settings import KafkaSettings
from tests.support.kafka import settings_for
from tests.support.stack import Components, ObjectStore
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("own_servers")


@pytest.fixture(scope="module")
def own_servers(components: Components) -> None:
    """Servers that are given have rules of their own."""
    assert not components.stack.external, "run these tests without addresses of components in the environment"


@pytest.fixture(scope="module")
def stack(components: Components) -> Stack:
    """A stack whose four components run."""
    return components.start("postgres", "redis", "s3")


@pytest.fixture
def anonymous(stack: Stack) -> KafkaSettings:
    """The listener that asks for no password."""
    return KafkaSettings(kafka_bootstrap_servers=stack.s3_kafka_address)


@asynccontextmanager
async def _admin(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(**client_options(settings, "test"))
    try:
        await client.start()
        yield client
    finally:
        await client.close()


async def _write(settings: KafkaSettings, topic: str) -> None:
    producer = AIOKafkaProducer(**client_options(settings, "test"))
    try:
        await producer.start()
        await producer.send_and_wait(topic, b'{"Event": "s3:TestEvent"}', partition=0)
    finally:
        await producer.stop()


async def _read(settings: KafkaSettings, topic: str) -> None:
    consumer = AIOKafkaConsumer(topic, **client_options(settings, "test"), auto_offset_reset="earliest")
    try:
        await consumer.start()
        await consumer.getmany(timeout_ms=1_000)
    finally:
        await consumer.stop()


@pytest.mark.parametrize("port", ["kafka", "kafka-controller"])
@pytest.mark.parametrize(
    "login",
    [
        {},
        {
            "kafka_security_protocol": "SASL_PLAINTEXT",
            "kafka_username": "admin",
            "kafka_password": SecretStr("guessed"),
        },
    ],
    ids=["nobody", "a-wrong-password"],
)
async def test_kafka_takes_nobody_without_a_password(stack: Stack, port: str, login: dict[str, Any]) -> None:
    settings = KafkaSettings(kafka_bootstrap_servers=f"{LOOPBACK}:{stack.ports[port]}", **login)

    with pytest.raises(KafkaError):
        async with _admin(settings) as client:
            await client.list_topics()


async def test_a_service_has_the_topics_of_the_registry_and_no_others(stack: Stack) -> None:
    administrator = settings_for(stack.environment)
    own = replace(INTERACTIONS, partitions=1, consumers=frozenset(), producers=frozenset())
    written = replace(own, name="written-by-loader-v1", producers=frozenset(["loader"]))
    read = replace(own, name="read-by-loader-v1", consumers=frozenset(["loader"]))
    topics = [written, replace(read, producers=frozenset(["sync"]))]
    await make_topics(administrator, topics, rights=grants(topics))
    password = SecretStr(stack.secrets.kafka_users["loader"])
    loader = administrator.model_copy(update={"kafka_username": "loader", "kafka_password": password})

    await _write(loader, written.name)
    await _read(loader, read.name)

    with pytest.raises(TopicAuthorizationFailedError):
        await _write(loader, read.name)
    with pytest.raises(TopicAuthorizationFailedError):
        await _read(loader, written.name)
    with pytest.raises(TopicAuthorizationFailedError):
        await _write(loader, INTERACTIONS.name)
    with pytest.raises(TopicAuthorizationFailedError):
        await _read(loader, UPLOADS.name)


async def test_without_a_password_notices_of_uploads_are_written_and_nothing_else(
    anonymous: KafkaSettings,
) -> None:
    await _write(anonymous, UPLOADS.name)

    with pytest.raises(TopicAuthorizationFailedError):
        await _read(anonymous, UPLOADS.name)
    with pytest.raises(TopicAuthorizationFailedError):
        await _write(anonymous, INTERACTIONS.name)
    async with _admin(anonymous) as client:
        assert set(await client.list_topics()) == {UPLOADS.name}


def test_redis_takes_nobody_without_the_password(stack: Stack) -> None:
    with redis.Redis(port=stack.ports["redis"]) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
        assert client.ping()


@pytest.mark.parametrize("password", ["", "guessed"])
async def test_postgres_takes_nobody_without_the_password(stack: Stack, password: str) -> None:
    address = postgres.url(stack.ports, password, database="postgres")

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(address, timeout=10)


def test_postgres_has_no_other_way_in(stack: Stack) -> None:
    rules = postgres.rows(stack.postgres_admin, "SELECT DISTINCT auth_method FROM pg_hba_file_rules")
    sockets = postgres.rows(stack.postgres_admin, "SHOW unix_socket_directories")

    assert rules == [("scram-sha-256",)]
    assert sockets == [("",)]


def test_the_object_store_answers_nobody_without_a_key(stack: Stack, s3: ObjectStore, bucket: str) -> None:
    s3.client().put_object(Bucket=bucket, Key="a", Body=b"1")

    for path in ("", f"/{bucket}", f"/{bucket}/a"):
        assert httpx.get(f"{s3.endpoint}{path}", trust_env=False).status_code == httpx.codes.FORBIDDEN


def test_accounts_of_the_object_store_are_not_made_over_its_port(stack: Stack, s3: ObjectStore) -> None:
    """The owner of the stack makes them over a socket that others may not open."""
    socket = socket_path(stack.root / "run", "s3-admin.sock")
    command = [str(stack.tools.program("versitygw")), "admin", "--endpoint-url", s3.endpoint, "list-users"]
    pair = {"ADMIN_ACCESS_KEY_ID": s3.access_key_id, "ADMIN_SECRET_ACCESS_KEY": s3.secret_access_key}

    done = subprocess.run(
        command, env={**os.environ, **pair}, capture_output=True, text=True, timeout=PATIENCE, check=False
    )

    assert done.returncode != 0, done.stdout
    assert stack.secrets.aws_access_key_id not in done.stdout
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600


def test_clients_reach_the_buckets_that_are_theirs(stack: Stack, s3: ObjectStore, bucket: str) -> None:
    clients = boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        region_name=s3.region,
        aws_access_key_id=stack.secrets.aws_access_key_id,
        aws_secret_access_key=stack.secrets.aws_secret_access_key,
    )
    own = f"{bucket}-theirs"
    clients.create_bucket(Bucket=own)
    clients.put_object(Bucket=own, Key="a", Body=b"1")

    assert [entry["Name"] for entry in clients.list_buckets()["Buckets"]] == [own]
    with pytest.raises(ClientError, match="AccessDenied"):
        clients.list_objects_v2(Bucket=bucket)
    clients.delete_object(Bucket=own, Key="a")
    clients.delete_bucket(Bucket=own)


def test_files_of_a_stack_are_for_its_owner_alone(stack: Stack) -> None:
    # The S3 server gives some of its objects the mode 0644 whatever its umask; nobody gets into their folder.
    objects = stack.root / "data" / "s3"
    open_to_others = {
        str(path.relative_to(stack.root)): oct(path.lstat().st_mode & 0o777)
        for path in _below(stack.root)
        if stat.S_IMODE(path.lstat().st_mode) & 0o077 and not path.is_symlink()
        if objects not in path.parents
    }
    assert not objects.exists() or stat.S_IMODE(objects.stat().st_mode) == 0o700
    if os.getuid() == 0:
        # PostgreSQL's own user goes through to its folder.
        assert open_to_others.pop("data") == oct(0o711)

    assert open_to_others == {}


def test_no_command_line_tells_a_secret(stack: Stack) -> None:
    secrets = set(_values(stack.secrets))
    for process in stack.processes():
        if process.pid:
            command = Path(f"/proc/{process.pid}/cmdline").read_text()
            assert not [secret for secret in secrets if secret in command], process.name


def _below(folder: Path) -> Iterator[Path]:
    """Every file and folder; PostgreSQL's come and go, and their folder is closed."""
    for path in folder.iterdir():
        yield path
        if path.is_dir() and path.name != "cluster":
            yield from _below(path)


def _values(secrets: Secrets) -> Iterator[str]:
    for name, value in vars(secrets).items():
        if isinstance(value, dict):
            yield from value.values()
        elif name != "aws_access_key_id":
            yield value
