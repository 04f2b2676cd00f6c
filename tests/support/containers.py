"""A component as a container, for a machine without the native programs but with Docker images.

Containers share the host's network, so that a component has the same address however it is run.
"""

from __future__ import annotations

from collections.abc import Callable

import docker
from docker.errors import DockerException, ImageNotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from deploy.local.failure import StackError
from deploy.local.ports import LOOPBACK
from deploy.local.stack import Stack

IMAGES = {
    "kafka": "apache/kafka:4.3.1",
    "postgres": "postgres:17",
    "redis": "redis:7",
    "s3": "versity/versitygw:v1.7.0",
}

_running: list[DockerContainer] = []


def start(component: str, stack: Stack) -> None:
    """Run the component's image on the stack's port; refused when Docker does not have it."""
    image = IMAGES[component]
    _require_image(component, image)
    # The helper that removes leftovers is an image of its own, which may not be there.
    testcontainers_config.ryuk_disabled = True
    container = _SETTINGS[component](DockerContainer(image), stack)
    container.with_kwargs(network_mode="host").start()
    _running.append(container)


def stop_all() -> None:
    """End the containers that were started here."""
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
    return container.with_envs(
        KAFKA_NODE_ID="1",
        KAFKA_PROCESS_ROLES="broker,controller",
        KAFKA_CONTROLLER_QUORUM_VOTERS=f"1@{LOOPBACK}:{controller}",
        KAFKA_LISTENERS=f"PLAINTEXT://{LOOPBACK}:{broker},CONTROLLER://{LOOPBACK}:{controller}",
        KAFKA_ADVERTISED_LISTENERS=f"PLAINTEXT://{LOOPBACK}:{broker}",
        KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        KAFKA_INTER_BROKER_LISTENER_NAME="PLAINTEXT",
        KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
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
    return container.with_command(f"redis-server --bind {LOOPBACK} --port {stack.ports['redis']}")


def _s3(container: DockerContainer, stack: Stack) -> DockerContainer:
    container.with_envs(
        ROOT_ACCESS_KEY_ID=stack.secrets.aws_access_key_id,
        ROOT_SECRET_ACCESS_KEY=stack.secrets.aws_secret_access_key,
    )
    return container.with_command(
        f"--port {LOOPBACK}:{stack.ports['s3']} --health /health "
        f"--event-kafka-url {stack.environment['KAFKA_BOOTSTRAP_SERVERS']} "
        "--event-kafka-topic uploads-v1 posix --sidecar /tmp/metadata /tmp"
    )


_SETTINGS: dict[str, Callable[[DockerContainer, Stack], DockerContainer]] = {
    "kafka": _kafka,
    "postgres": _postgres,
    "redis": _redis,
    "s3": _s3,
}
