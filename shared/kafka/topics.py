"""Making topics: what the registry says, and a dead-letter topic for each consumer."""

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

ASK_SECONDS = 10.0
KNOWN_SECONDS = 0.02
_ALREADY_EXISTS = 36
_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """One topic as it should be."""

    name: str
    partitions: int
    configs: dict[str, str]


def wanted(topics: Iterable[Topic]) -> list[Wanted]:
    """Return every topic of the registry and their dead-letter topics."""
    found = []
    for topic in topics:
        found.append(Wanted(topic.name, topic.partitions, _configs(topic)))
        found += [
            Wanted(
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
    return found


def _configs(topic: Topic) -> dict[str, str]:
    if topic.retention is None:
        return {
            "cleanup.policy": "compact",
            # A reader that was away for less than a week still meets the tombstones.
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
    """Make the topics that are missing, give the rights, and return the names of the topics made.

    It tries for `patience` seconds.

    Raises Permanent when one that exists differs from the registry in what can't be changed under its
    readers, and Transient when Kafka is away all the time.
    """
    todo = wanted(topics)
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        try:
            return await _make(settings, todo, rights, replication)
        except Transient:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.5)


async def _make(
    settings: KafkaSettings, todo: Sequence[Wanted], rights: Sequence[Grant], replication: int
) -> list[str]:
    admin = AIOKafkaAdminClient(**client_options(settings, "topics"))
    try:
        async with asyncio.timeout(ASK_SECONDS):
            await admin.start()
            existing = set(await admin.list_topics())
            missing = [one for one in todo if one.name not in existing]
            if rights:
                await make_grants(admin, rights)
            await _create(admin, missing, replication)
            await _validate(admin, [one for one in todo if one.name in existing])
            await _until_known(admin, [one.name for one in missing])
            return [one.name for one in missing]
    except (KafkaError, OSError) as error:  # TimeoutError is an OSError
        message = f"Kafka at {settings.kafka_bootstrap_servers} does not make topics: {error!r}"
        raise Transient(message) from error
    finally:
        with contextlib.suppress(KafkaError, OSError):
            await admin.close()


async def _create(admin: AIOKafkaAdminClient, missing: Sequence[Wanted], replication: int) -> None:
    if not missing:
        return
    answer = await admin.create_topics(
        [NewTopic(one.name, one.partitions, replication, topic_configs=one.configs) for one in missing]
    )
    for topic in answer.to_object()["topic_errors"]:
        if topic["error_code"] not in {0, _ALREADY_EXISTS}:
            raise for_code(topic["error_code"])(f"{topic['topic']}: {topic.get('error_message')}")


async def _until_known(admin: AIOKafkaAdminClient, names: Sequence[str]) -> None:
    """Wait until the broker knows what its controller made, and so the rights that were given before."""
    while names:
        if not any(topic["error_code"] for topic in await admin.describe_topics(list(names))):
            return
        await asyncio.sleep(KNOWN_SECONDS)


async def _validate(admin: AIOKafkaAdminClient, existing: Sequence[Wanted]) -> None:
    """Compare partitions and cleanup policy: another retention is the operator's choice."""
    if not existing:
        return
    described = await admin.describe_topics([one.name for one in existing])
    partitions = {topic["topic"]: len(topic["partitions"]) for topic in described}
    answers = await admin.describe_configs(
        [
            ConfigResource(ConfigResourceType.TOPIC, one.name, configs={"cleanup.policy": None})
            for one in existing
        ]
    )
    policies = {
        resource["resource_name"]: entry["config_value"]
        for answer in answers
        for resource in answer.to_object()["resources"]
        for entry in resource["config_entries"]
    }
    wrong = [
        f"{one.name} has {partitions[one.name]} partitions and cleanup.policy {policies[one.name]}, "
        f"the registry says {one.partitions} and {one.configs['cleanup.policy']}"
        for one in existing
        if (partitions[one.name], policies[one.name]) != (one.partitions, one.configs["cleanup.policy"])
    ]
    if wrong:
        message = (
            "; ".join(wrong) + ". Keys would move to other partitions or states be lost: move the "
            "records to a topic of a new version instead"
        )
        raise Permanent(message)
