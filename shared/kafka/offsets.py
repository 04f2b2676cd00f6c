"""How far a topic reaches, and how far a group has come."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shared.errors import Transient
from shared.kafka.connection import client_options

if TYPE_CHECKING:
    from shared.events.topics import Topic
    from shared.settings import KafkaSettings

ASK_SECONDS = 10.0


class Offsets:
    """Asks Kafka over one pair of connections; made by `offsets`.

    Each question raises Transient when Kafka is away or doesn't answer in time.
    """

    def __init__(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> None:
        """Use clients that are started."""
        self._admin = admin
        self._consumer = consumer

    async def partitions(self, topic: str) -> list[TopicPartition]:
        """Every partition of a topic that exists."""
        async with _bounded():
            (described,) = await self._admin.describe_topics([topic])
        if described["error_code"]:
            message = f"topic {topic} does not exist: run python -m shared.kafka topics"
            raise Transient(message)
        return [TopicPartition(topic, one["partition"]) for one in described["partitions"]]

    async def ends(self, topic: str) -> dict[int, int]:
        """By partition the offset after the last record; partitions without records are left out."""
        partitions = await self.partitions(topic)
        async with _bounded():
            ends = await self._consumer.end_offsets(partitions)
            begins = await self._consumer.beginning_offsets(partitions)
        return {one.partition: end for one, end in ends.items() if end > begins[one]}

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        """By partition the offset that the group commits as its next; without one it is left out."""
        partitions = await self.partitions(topic)
        async with _bounded():
            found = await self._admin.list_consumer_group_offsets(group, partitions=partitions)
        return {one.partition: state.offset for one, state in found.items() if state.offset >= 0}


@contextlib.asynccontextmanager
async def _bounded() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(ASK_SECONDS):
            yield
    except (KafkaError, OSError) as error:  # TimeoutError is an OSError
        message = f"Kafka did not say its offsets: {error!r}"
        raise Transient(message) from error


@contextlib.asynccontextmanager
async def offsets(settings: KafkaSettings, client_id: str = "offsets") -> AsyncIterator[Offsets]:
    """Connect, and close again."""
    options = client_options(settings, client_id)
    admin = AIOKafkaAdminClient(**options)
    consumer = AIOKafkaConsumer(**options, enable_auto_commit=False)
    try:
        async with _bounded():
            await admin.start()
            await consumer.start()
        yield Offsets(admin, consumer)
    finally:
        closing = asyncio.gather(admin.close(), consumer.stop(), return_exceptions=True)
        await asyncio.wait([closing], timeout=2)


async def end_offsets(settings: KafkaSettings, topic: Topic) -> dict[int, int]:
    """By partition the offset after the last record of `topic`; empty partitions are left out."""
    async with offsets(settings) as asked:
        return await asked.ends(topic.name)


async def committed(settings: KafkaSettings, group: str, topic: Topic) -> dict[int, int]:
    """By partition the offset up to which `group` has committed `topic`."""
    async with offsets(settings) as asked:
        return await asked.committed(group, topic.name)


def missing(ends: Mapping[int, int], done: Mapping[int, int]) -> int:
    """How many records lie between what was committed and the ends that were noted earlier."""
    return sum(max(0, end - done.get(partition, 0)) for partition, end in ends.items())


async def committed_up_to_end(settings: KafkaSettings, group: str, topic: Topic) -> bool:
    """Whether `group` has handled everything that is in `topic` now."""
    async with offsets(settings) as asked:
        ends = await asked.ends(topic.name)
        return missing(ends, await asked.committed(group, topic.name)) == 0
