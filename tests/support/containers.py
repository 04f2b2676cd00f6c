"""A component as a container, for a machine without the native programs but with Docker images.

Containers share the host's network, so that a component has the same address however it is run.
"""

from __future__ import annotations

from collections.abc import Callable

import docker
from docker.errors import DockerException, ImageNotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from deploy.local.components import kafka, s3
from deploy.local.errors import StackError
from deploy.local.ports import LOOPBACK
from deploy.local.secrets import KAFKA_ADMINISTRATOR, KAFKA_BROKER
from deploy.local.stack import Stack

IMAGES = {
    "kafka": "apache/kafka:4.3.1",
    "postgres": "postgres:17",
    "redis": "redis:7",
    "s3": "versity/versitygw:v1.7.0",
}

_running: list[DockerContainer] = []


def start(component: str, stack: Stack) -> None:
    """Run the component's image on the stack's port; raise StackError if Docker does not have it."""
    image = IMAGES[component]
    _require_image(component, image)
    # Testcontainers' cleanup container (ryuk) is an image of its own, which may be absent.
    testcontainers_config.ryuk_disabled = True
    container = _SETTINGS[component](DockerContainer(image), stack)
    container.with_kwargs(network_mode="host").start()
    _running.append(container)


def stop_all() -> None:
    """Stop the containers that this module started."""
    while _running:
        _running.pop().stop()


def _require_image(component: str, image: str) -> None:
    missing = f"{component} has no address in the environment, is not installed (run make install)"
    try:
        client = docker.from_env()
    except DockerException as error:
        raise StackError(f"{missing}, and there is no Docker engine") from error
    try:
        client.images.get(image)
    except ImageNotFound as error:
        raise StackError(f"{missing}, and Docker does not have the image {image}") from error
    finally:
        client.close()


def _kafka(container: DockerContainer, stack: Stack) -> DockerContainer:
    broker, controller = stack.ports["kafka"], stack.ports["kafka-controller"]
    objects, users = stack.ports["kafka-objects"], stack.secrets.kafka_users
    return container.with_envs(
        KAFKA_NODE_ID="1",
        KAFKA_PROCESS_ROLES="broker,controller",
        KAFKA_CONTROLLER_QUORUM_VOTERS=f"1@{LOOPBACK}:{controller}",
        KAFKA_LISTENERS=f"CLIENTS://{LOOPBACK}:{broker},OBJECTS://{LOOPBACK}:{objects},"
        f"CONTROLLER://{LOOPBACK}:{controller}",
        KAFKA_ADVERTISED_LISTENERS=f"CLIENTS://{LOOPBACK}:{broker},OBJECTS://{LOOPBACK}:{objects}",
        KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="CLIENTS:SASL_PLAINTEXT,OBJECTS:PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        KAFKA_INTER_BROKER_LISTENER_NAME="CLIENTS",
        KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
        KAFKA_SASL_ENABLED_MECHANISMS="PLAIN",
        KAFKA_SASL_MECHANISM_INTER_BROKER_PROTOCOL="PLAIN",
        KAFKA_SASL_MECHANISM_CONTROLLER_PROTOCOL="PLAIN",
        KAFKA_LISTENER_NAME_CLIENTS_PLAIN_SASL_JAAS_CONFIG=kafka.login(users, users),
        KAFKA_LISTENER_NAME_CONTROLLER_PLAIN_SASL_JAAS_CONFIG=kafka.login(users, [KAFKA_BROKER]),
        KAFKA_AUTHORIZER_CLASS_NAME="org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        KAFKA_SUPER_USERS=f"User:{KAFKA_BROKER};User:{KAFKA_ADMINISTRATOR}",
        KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR="1",
        KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1",
        KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1",
        KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS="0",
        KAFKA_AUTO_CREATE_TOPICS_ENABLE="false",
        KAFKA_MESSAGE_MAX_BYTES="8388608",
    )


def _postgres(container: DockerContainer, stack: Stack) -> DockerContainer:
    container.with_envs(POSTGRES_PASSWORD=stack.secrets.postgres)
    return container.with_command(
        f"postgres -c listen_addresses={LOOPBACK} -c port={stack.ports['postgres']} "
        "-c max_connections=300 -c fsync=off"
    )


def _redis(container: DockerContainer, stack: Stack) -> DockerContainer:
    return container.with_command(
        f"redis-server --bind {LOOPBACK} --port {stack.ports['redis']} --requirepass {stack.secrets.redis}"
    )


def _s3(container: DockerContainer, stack: Stack) -> DockerContainer:
    accounts = stack.root / "data" / "s3-accounts"
    s3.write_accounts(accounts / "users.json", stack.secrets)
    container.with_volume_mapping(str(accounts), "/accounts")
    container.with_envs(ROOT_ACCESS_KEY_ID=s3.ROOT_ACCOUNT, ROOT_SECRET_ACCESS_KEY=stack.secrets.s3_root)
    return container.with_command(
        f"--port {LOOPBACK}:{stack.ports['s3']} --health /health --iam-dir /accounts "
        f"--event-kafka-url {stack.s3_kafka_address} "
        "--event-kafka-topic uploads-v1 posix --sidecar /tmp/metadata /tmp"
    )


_SETTINGS: dict[str, Callable[[DockerContainer, Stack], DockerContainer]] = {
    "kafka": _kafka,
    "postgres": _postgres,
    "redis": _redis,
    "s3": _s3,
}
