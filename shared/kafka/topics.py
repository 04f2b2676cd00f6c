"""Creation of the topics of the registry, with a dead-letter topic for each consumer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from shared.errors import Permanent, Transient
from shared.events.topics import FORTNIGHT
from shared.kafka.connection import client_options
from shared.kafka.grants import make_grants
from shared.kafka.producer import MAX_REQUEST_BYTES

if TYPE_CHECKING:
    from shared.events.topics import Topic
    from shared.kafka.grants import Grant
    from shared.settings import KafkaSettings

ADMIN_SECONDS = 10.0
"""Time that one attempt may take; arbitrary."""

KNOWN_SECONDS = 0.02
"""Interval between queries whether the broker knows the new topics; arbitrary."""

_ALREADY_EXISTS = 36  # TOPIC_ALREADY_EXISTS of Kafka's protocol
_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic as it should be."""

    name: str
    partitions: int
    configs: dict[str, str]


def topic_specs(topics: Iterable[Topic]) -> list[TopicSpec]:
    """Return the topics with their dead-letter topics."""
    specs = []
    for topic in topics:
        specs.append(TopicSpec(topic.name, topic.partitions, _configs(topic)))
        specs += [
            TopicSpec(
                topic.dlq(consumer),
                topic.partitions,
                {
                    "cleanup.policy": "delete",
                    "retention.ms": _milliseconds(FORTNIGHT.total_seconds()),
                    "max.message.bytes": str(MAX_REQUEST_BYTES),
                },
            )
            for consumer in sorted(topic.consumers)
        ]
    return specs


def _configs(topic: Topic) -> dict[str, str]:
    if topic.retention is None:
        return {
            "cleanup.policy": "compact",
            # A reader that was down for less than a week still gets the tombstones.
            "delete.retention.ms": str(7 * _DAY_MS),
            "min.cleanable.dirty.ratio": "0.2",
            "segment.ms": str(_DAY_MS),
        }
    return {
        "cleanup.policy": "delete",
        "retention.ms": _milliseconds(topic.retention.total_seconds()),
    }


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


async def make_topics(
    settings: KafkaSettings,
    topics: Iterable[Topic],
    *,
    rights: Sequence[Grant] = (),
    replication: int = 1,
    patience: float = 30,
) -> list[str]:
    """Create the missing topics, grant the rights, and return the names of the new topics.

    Attempts are repeated for `patience` seconds.

    Raises Permanent if an existing topic differs from the registry in its partitions or cleanup policy, and
    Transient if Kafka is not reachable.
    """
    specs = topic_specs(topics)
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        try:
            return await _make(settings, specs, rights, replication)
        except Transient:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.5)


async def _make(
    settings: KafkaSettings, specs: Sequence[TopicSpec], rights: Sequence[Grant], replication: int
) -> list[str]:
    admin = AIOKafkaAdminClient(**client_options(settings, "topics"))
    try:
        async with asyncio.timeout(ADMIN_SECONDS):
            await admin.start()
            existing = set(await admin.list_topics())
            missing = [spec for spec in specs if spec.name not in existing]
            if rights:
                await make_grants(admin, rights)
            await _create(admin, missing, replication)
            await _validate(admin, [spec for spec in specs if spec.name in existing])
            await _until_known(admin, [spec.name for spec in missing])
            return [spec.name for spec in missing]
    except (KafkaError, OSError) as error:  # TimeoutError is an OSError
        message = f"Kafka at {settings.kafka_bootstrap_servers} did not create the topics: {error!r}"
        raise Transient(message) from error
    finally:
        with contextlib.suppress(KafkaError, OSError):
            await admin.close()


async def _create(admin: AIOKafkaAdminClient, missing: Sequence[TopicSpec], replication: int) -> None:
    if not missing:
        return
    answer = await admin.create_topics(
        [NewTopic(spec.name, spec.partitions, replication, topic_configs=spec.configs) for spec in missing]
    )
    for topic in answer.to_object()["topic_errors"]:
        if topic["error_code"] not in {0, _ALREADY_EXISTS}:
            raise for_code(topic["error_code"])(f"{topic['topic']}: {topic.get('error_message')}")


async def _until_known(admin: AIOKafkaAdminClient, names: Sequence[str]) -> None:
    """Wait until the broker knows the topics that its controller created, and the rights granted before."""
    while names:
        if not any(topic["error_code"] for topic in await admin.describe_topics(list(names))):
            return
        await asyncio.sleep(KNOWN_SECONDS)


async def _validate(admin: AIOKafkaAdminClient, existing: Sequence[TopicSpec]) -> None:
    """Compare partitions and cleanup policies; raises Permanent. The retention is the operator's choice."""
    if not existing:
        return
    described = await admin.describe_topics([spec.name for spec in existing])
    partitions = {topic["topic"]: len(topic["partitions"]) for topic in described}
    answers = await admin.describe_configs(
        [
            ConfigResource(ConfigResourceType.TOPIC, spec.name, configs={"cleanup.policy": None})
            for spec in existing
        ]
    )
    policies = {
        resource["resource_name"]: entry["config_value"]
        for answer in answers
        for resource in answer.to_object()["resources"]
        for entry in resource["config_entries"]
    }
    wrong = [
        f"{spec.name} has {partitions[spec.name]} partitions and cleanup.policy {policies[spec.name]}, "
        f"the registry says {spec.partitions} and {spec.configs['cleanup.policy']}"
        for spec in existing
        if (partitions[spec.name], policies[spec.name]) != (spec.partitions, spec.configs["cleanup.policy"])
    ]
    if wrong:
        message = (
            "; ".join(wrong) + ". Changing it would move keys to other partitions or lose states: move "
            "the records to a topic of a new version instead"
        )
        raise Permanent(message)
