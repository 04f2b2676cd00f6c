"""End offsets of topics and committed offsets of groups."""

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

REQUEST_SECONDS = 10.0
"""Time that Kafka may take to answer; as the timeout of a request."""


class Offsets:
    """Queries offsets over one pair of connections; made by `offsets`.

    Each method raises Transient if Kafka is not reachable or does not answer in time.
    """

    def __init__(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> None:
        """Use clients that are started."""
        self._admin = admin
        self._consumer = consumer

    async def partitions(self, topic: str) -> list[TopicPartition]:
        """Return the partitions of a topic; raises Transient if the topic does not exist."""
        async with _bounded():
            (described,) = await self._admin.describe_topics([topic])
        if described["error_code"]:
            message = f"topic {topic} does not exist: run python -m shared.kafka topics"
            raise Transient(message)
        return [TopicPartition(topic, partition["partition"]) for partition in described["partitions"]]

    async def ends(self, topic: str) -> dict[int, int]:
        """Return partition → offset after the last record; partitions without records are left out."""
        partitions = await self.partitions(topic)
        async with _bounded():
            ends = await self._consumer.end_offsets(partitions)
            begins = await self._consumer.beginning_offsets(partitions)
        return {tp.partition: end for tp, end in ends.items() if end > begins[tp]}

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return partition → the group's committed offset; partitions without one are left out.

        Raises Transient while the group has no coordinator, too: Kafka then answers with an error for the
        group and no partition, and the client returns that as no offsets.
        """
        partitions = await self.partitions(topic)
        async with _bounded():
            offsets = await self._admin.list_consumer_group_offsets(group, partitions=partitions)
        if len(offsets) < len(partitions):
            message = f"Kafka did not return the offsets of {group}: its coordinator is not available"
            raise Transient(message)
        return {tp.partition: state.offset for tp, state in offsets.items() if state.offset >= 0}


@contextlib.asynccontextmanager
async def _bounded() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            yield
    except (KafkaError, OSError) as error:  # TimeoutError is an OSError
        message = f"Kafka did not return offsets: {error!r}"
        raise Transient(message) from error


@contextlib.asynccontextmanager
async def offsets(settings: KafkaSettings, client_id: str = "offsets") -> AsyncIterator[Offsets]:
    """Connect, and close at the end of the context; raises Transient if Kafka is not reachable."""
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
    """Return partition → offset after the last record of `topic`; empty partitions are left out."""
    async with offsets(settings) as client:
        return await client.ends(topic.name)


async def committed(settings: KafkaSettings, group: str, topic: Topic) -> dict[int, int]:
    """Return partition → offset up to which `group` has committed `topic`."""
    async with offsets(settings) as client:
        return await client.committed(group, topic.name)


def missing(ends: Mapping[int, int], done: Mapping[int, int]) -> int:
    """Return how many records are between the committed offsets `done` and the end offsets `ends`."""
    return sum(max(0, end - done.get(partition, 0)) for partition, end in ends.items())


async def committed_up_to_end(settings: KafkaSettings, group: str, topic: Topic) -> bool:
    """Return whether `group` has committed every record that is in `topic` now."""
    async with offsets(settings) as client:
        ends = await client.ends(topic.name)
        return missing(ends, await client.committed(group, topic.name)) == 0
