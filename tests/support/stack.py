"""Kafka, Postgres, Redis and S3 for tests: real ones, each started when a test first needs it.

A component comes from its address in the environment, else from the native programs of the local
stack on free ports, else from a container if a Docker engine has its image. A component that is
available in none of these ways fails the test. All of them stop when the test run ends, even by a crash.
"""

from __future__ import annotations

import os
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
import redis
from botocore.config import Config

from deploy.local import product
from deploy.local.components import postgres as postgres_component
from deploy.local.components import s3 as s3_component
from deploy.local.environment import external_components, role_url
from deploy.local.ports import SERVICES, Ports
from deploy.local.stack import Stack
from deploy.local.state import State
from deploy.local.tools import PROJECT
from shared.settings import KafkaSettings
from tests.support import containers
from tests.support.folders import stack_folder
from tests.support.kafka import settings_for

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_REDIS_DATABASES = 16


def external_addresses() -> dict[str, str]:
    """Return the addresses of the components that the environment names.

    A shell that has evaluated `make env` names those of the running stack. They are left out: tests must not
    change its data.
    """
    state = State.of_running(PROJECT / ".local") or State.configured(os.environ)
    running = state.ports
    return external_components(running, os.environ)


@dataclass
class Components:
    """The four components, each started once when it is first needed."""

    stack: Stack
    started: set[str] = field(default_factory=set)
    _redis_numbers: deque[int] = field(default_factory=lambda: deque(range(_REDIS_DATABASES)))

    @classmethod
    def below(cls, root: Path) -> Components:
        """Return components with their data in the folder, on free ports."""
        return cls(Stack(root, Ports.free(), external_addresses(), durable=False))

    def start(self, *names: str) -> Stack:
        """Start the components that do not run yet; return the stack with their addresses."""
        native = [name for name in self.stack.components if self.stack.tools.has(name)]
        if not self.stack.is_running:
            self.stack.launch(native, ends_with_caller=True)
        for name in names:
            if name in self.started or name in self.stack.external:
                continue
            if name == "s3":
                self.start("kafka")
                self.stack.create_topics()
            if name in native:
                self.stack.start(name)
            else:
                containers.start(name, self.stack)
                self.stack.wait_until_ready(name)
            self.started.add(name)
        return self.stack

    @contextmanager
    def redis_database(self) -> Iterator[str]:
        """Yield the address of an empty Redis database, one of the sixteen of a server; give it back then."""
        address, number = self.start("redis").environment["REDIS_URL"], self._redis_numbers.popleft()
        if "redis" not in self.stack.external:
            address = urlsplit(address)._replace(path=f"/{number}").geturl()
        client: Any = redis.Redis.from_url(address)
        try:
            with client:
                client.flushdb()
            yield address
        finally:
            self._redis_numbers.append(number)

    def stop(self) -> None:
        """Stop all components."""
        self.stack.stop()
        containers.stop_all()


@dataclass(frozen=True)
class Database:
    """One database of a test: the administrator's address, and each service's own."""

    url: str
    passwords: dict[str, str]

    def role_url(self, service: str) -> str:
        """Return the address with the login role of a service."""
        return role_url(self.url, service, self.passwords[service])

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that a service and its migrations read."""
        own = {f"{service.upper()}_DATABASE_URL": self.role_url(service) for service in SERVICES}
        return {"DATABASE_URL": self.url, **own}


@dataclass(frozen=True)
class PostgresServer:
    """A server on which tests make databases of their own."""

    administrator: str
    passwords: dict[str, str]

    @contextmanager
    def database(self, *, template: str = "template1") -> Iterator[Database]:
        """Create a database, and drop it at the end."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        postgres_component.create_database(self.administrator, name, template=template)
        try:
            yield self.named(name)
        finally:
            postgres_component.drop_database(self.administrator, name)

    def named(self, database: str) -> Database:
        """Return a database of the server by its name."""
        url = urlsplit(self.administrator)._replace(path=f"/{database}").geturl()
        return Database(url, self.passwords)


@dataclass(frozen=True)
class ObjectStore:
    """An S3 endpoint with a key pair that it accepts."""

    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that a service reads."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
        }

    def client(self) -> S3Client:
        """Return a boto3 client."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )


@pytest.fixture(scope="session")
def components() -> Iterator[Components]:
    """Yield the components, which start on demand and stop with the test run."""
    with stack_folder("tests") as folder:
        parts = Components.below(folder)
        try:
            yield parts
        finally:
            parts.stop()


@pytest.fixture(scope="session")
def kafka_settings(components: Components) -> KafkaSettings:
    """Return the settings of Kafka's administrator; every topic of the registry exists."""
    stack = components.start("kafka")
    stack.create_topics()
    return settings_for(stack.environment)


@pytest.fixture(scope="session")
def postgres_server(components: Components) -> PostgresServer:
    """Return the Postgres server, with the login role of each service."""
    stack = components.start("postgres")
    external = "postgres" in stack.external
    administrator = stack.environment["DATABASE_URL"] if external else stack.postgres_admin
    server = PostgresServer(administrator, stack.secrets.roles)
    product.create_roles({**stack.environment, "DATABASE_URL": administrator}, stack.preparation_log)
    return server


@pytest.fixture(scope="session")
def migrated_template(components: Components, postgres_server: PostgresServer) -> Iterator[str]:
    """Yield the name of a migrated database that tests clone and never change."""
    with postgres_server.database() as database:
        environment = {**components.stack.environment, **database.environment}
        product.create_roles(environment, components.stack.preparation_log)
        product.migrate(environment, components.stack.preparation_log)
        yield urlsplit(database.url).path.removeprefix("/")


@pytest.fixture
def database(postgres_server: PostgresServer, migrated_template: str) -> Iterator[Database]:
    """Yield a migrated database that belongs to one test."""
    with postgres_server.database(template=migrated_template) as clone:
        yield clone


@pytest.fixture(scope="module")
def module_database(postgres_server: PostgresServer, migrated_template: str) -> Iterator[Database]:
    """Yield a migrated database that the tests of one module share."""
    with postgres_server.database(template=migrated_template) as clone:
        yield clone


@pytest.fixture
def empty_database(postgres_server: PostgresServer) -> Iterator[Database]:
    """Yield a database without a schema, for tests of the migrations."""
    with postgres_server.database() as fresh:
        yield fresh


@pytest.fixture
def postgres_url(database: Database) -> str:
    """Return the administrator's address of the test's own migrated database."""
    return database.url


@pytest.fixture
def redis_url(components: Components) -> Iterator[str]:
    """Yield the address of an empty Redis database that belongs to one test."""
    with components.redis_database() as address:
        yield address


@pytest.fixture(scope="session")
def s3(components: Components) -> ObjectStore:
    """Return the S3 server; an uploaded object becomes a record on uploads-v1."""
    stack = components.start("s3")
    environment = stack.environment
    return ObjectStore(
        endpoint=environment["AWS_ENDPOINT_URL_S3"],
        region=environment["AWS_REGION"],
        **_root_pair(stack),
    )


def _root_pair(stack: Stack) -> dict[str, str]:
    """Return the root key pair."""
    if "s3" in stack.external:
        environment = stack.environment
        return {
            "access_key_id": environment["AWS_ACCESS_KEY_ID"],
            "secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
        }
    return {"access_key_id": s3_component.ROOT_ACCOUNT, "secret_access_key": stack.secrets.s3_root}


@pytest.fixture
def bucket(s3: ObjectStore) -> Iterator[str]:
    """Yield a bucket that belongs to one test, and remove it with its objects."""
    with _bucket(s3.client()) as name:
        yield name


@pytest.fixture(scope="module")
def module_bucket(s3: ObjectStore) -> Iterator[str]:
    """Yield a bucket that the tests of one module share, and remove it with its objects."""
    with _bucket(s3.client()) as name:
        yield name


@contextmanager
def _bucket(client: S3Client) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    yield name
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
        for entry in page.get("Contents", []):
            client.delete_object(Bucket=name, Key=entry["Key"])
    client.delete_bucket(Bucket=name)
