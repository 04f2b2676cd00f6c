"""Support for tests of Kafka: topics of their own, events, a collecting handler, a broker to kill."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import LeaveGroupRequest
from pydantic import SecretStr

from deploy.local.ports import Ports
from deploy.local.stack import Stack
from shared.events import CacheRefreshed, Event, InteractionRecorded
from shared.events.topics import CACHES, INTERACTIONS, Topic
from shared.http.runtime import Part
from shared.kafka.connection import client_options
from shared.kafka.offsets import end_offsets, offsets
from shared.kafka.topics import make_topics
from shared.settings import KafkaSettings
from tests.support.folders import stack_folder
from tests.support.waiting import eventually

_MEMBERS = 5
"""The place of the members in the description of a group, https://kafka.apache.org/protocol#The_Messages_DescribeGroups"""

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def settings_for(environment: Mapping[str, str]) -> KafkaSettings:
    """Return the settings and login of the broker that an environment names."""
    return KafkaSettings.model_validate(
        {name.lower(): value for name, value in environment.items() if name.startswith("KAFKA_")}
    )


def kafka_environment(settings: KafkaSettings) -> dict[str, str]:
    """Return the environment variables of these settings."""
    values = {name: getattr(settings, name) for name in KafkaSettings.model_fields}
    return {
        name.upper(): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in values.items()
        if value is not None
    }


async def fresh_topic(
    settings: KafkaSettings,
    like: Topic = INTERACTIONS,
    *,
    partitions: int = 4,
    service: str = "tracker",
) -> Topic:
    """Create a topic like another, for one test; `service` is its producer, consumer and reader."""
    name = f"{like.name.removesuffix('-v1')}-{uuid.uuid4().hex[:8]}-v1"
    parties = frozenset({service})
    topic = replace(
        like,
        name=name,
        partitions=partitions,
        producers=parties,
        consumers=parties,
        readers=parties if like.compacted else frozenset(),
    )
    await make_topics(settings, [topic])
    return topic


def interaction(user: str = "u1", **fields: Any) -> InteractionRecorded:
    """Return an event of a user."""
    members = {"event_id": str(uuid.uuid4()), "tenant": "shop", "event_type": "view", "item_id": "i1"}
    return InteractionRecorded(
        **{**members, "user_id": user, "occurred_at": NOW, "received_at": NOW, **fields}
    )


def interactions(count: int, users: int = 50) -> list[InteractionRecorded]:
    """Return events of many users; the ids contain their order."""
    return [interaction(f"u{n % users}", event_id=f"{uuid.uuid4()}:{n:08d}") for n in range(count)]


def refreshed(tenant: str, activation: int) -> CacheRefreshed:
    """Return a state of a tenant."""
    return CacheRefreshed(
        event_id=f"{tenant}-{activation}",
        tenant=tenant,
        occurred_at=NOW,
        activation=activation,
        generations={"popularity": activation},
    )


COMPACTED = CACHES
"""A compacted topic, as the template of others."""


@dataclass
class Collector:
    """A handler that keeps its events; it raises what `fail` returns for them, and takes `seconds`."""

    events: list[Any] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    fail: Callable[[Sequence[Any]], BaseException | None] = lambda _: None
    seconds: float = 0.0

    async def __call__(self, events: Sequence[Any]) -> None:
        """Keep the events, or raise what `fail` returns."""
        self.calls.append(len(events))
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if (error := self.fail(events)) is not None:
            raise error
        self.events += events

    @property
    def ids(self) -> list[str]:
        """Return the ids of the events in order of arrival."""
        return [event.event_id for event in self.events]

    async def until(self, condition: Callable[[Collector], bool]) -> None:
        """Wait until the condition holds of this collector."""
        await eventually(lambda: condition(self), "the handler has the expected events")

    async def until_ids(self, events: Sequence[Event]) -> None:
        """Wait until each of `events` has arrived at least once."""
        expected = {event.event_id for event in events}
        await eventually(lambda: expected <= set(self.ids), f"{len(expected)} events came to the handler")


@asynccontextmanager
async def running(*parts: Part) -> AsyncIterator[None]:
    """Start the parts in order, and stop them in reverse order."""
    async with AsyncExitStack() as stack:
        for part in parts:
            stack.push_async_callback(part.stop)
            await part.start()
        yield


async def skip_to_end(settings: KafkaSettings, topic: Topic, group: str) -> None:
    """Commit the end of a topic for a group without members, so that it skips the events of other tests."""
    ends = await end_offsets(settings, topic)
    positions = {TopicPartition(topic.name, partition): end for partition, end in ends.items()}
    if not positions:
        return
    consumer = AIOKafkaConsumer(**client_options(settings, "test"), group_id=group, enable_auto_commit=False)
    consumer.assign([*positions])
    await consumer.start()
    try:
        await consumer.commit(positions)
    finally:
        await consumer.stop()


async def remove_members(settings: KafkaSettings, *groups: str) -> None:
    """Remove all members of groups: Kafka would wait for the session timeouts of killed processes."""
    admin = AIOKafkaAdminClient(**client_options(settings, "test"))
    await admin.start()
    try:
        for group in groups:
            coordinator = await admin.find_coordinator(group)
            (answer,) = await admin.describe_consumer_groups([group], coordinator)
            members = [member for described in answer.groups for member in described[_MEMBERS]]
            for member_id, *_ in members:
                await admin._client.send(coordinator, LeaveGroupRequest(group, member_id))
    finally:
        await admin.close()


async def raw_records(
    settings: KafkaSettings, topic: str, count: int | None = None
) -> list[ConsumerRecord[bytes, bytes]]:
    """Return the records of a topic as bytes, up to its present end or the first `count`."""
    records: list[ConsumerRecord[bytes, bytes]] = []
    async with offsets(settings) as reader:
        ends = await reader.ends(topic)
    consumer = AIOKafkaConsumer(
        **client_options(settings, "test"),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    if not ends:
        await consumer.stop()
        return []
    consumer.assign([TopicPartition(topic, partition) for partition in ends])
    await consumer.start()
    try:
        pending = set(ends)
        while pending and (count is None or len(records) < count):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                records += batch
            positions = {number: await consumer.position(TopicPartition(topic, number)) for number in pending}
            pending = {number for number in pending if positions[number] < ends[number]}
    finally:
        await consumer.stop()
    return records


async def until_dead_letters(
    settings: KafkaSettings, dlq_topic: str, count: int
) -> list[ConsumerRecord[bytes, bytes]]:
    """Return the dead letters of a topic, once there are `count`."""
    records: list[ConsumerRecord[bytes, bytes]] = await eventually(
        lambda: raw_records(settings, dlq_topic),
        f"{count} dead letters in {dlq_topic}",
        enough=lambda records: len(records) >= count,
        every=0.1,
    )
    return records


@dataclass(frozen=True)
class Broker:
    """A broker that a test may kill, freeze and stop."""

    stack: Stack

    @property
    def settings(self) -> KafkaSettings:
        """Return the settings of its clients."""
        return settings_for(self.stack.environment)

    def kill(self) -> None:
        """Send SIGKILL; the supervisor restarts it at once."""
        self.stack.kill("kafka")

    def freeze(self) -> None:
        """Send SIGSTOP."""
        self.stack.kill("kafka", signal.SIGSTOP)

    def thaw(self) -> None:
        """Send SIGCONT."""
        self.stack.kill("kafka", signal.SIGCONT)

    async def stop(self) -> None:
        """Stop it, without a restart."""
        await asyncio.to_thread(self.stack.supervisor.stop, "kafka")

    async def start(self) -> None:
        """Start it and wait until it takes requests."""
        await asyncio.to_thread(self.stack.supervisor.start, "kafka")
        await self.until_ready()

    async def until_ready(self) -> None:
        """Wait until it takes requests."""
        await eventually(self._answers, "the broker answers", every=0.2)

    async def _answers(self) -> bool:
        admin = AIOKafkaAdminClient(**client_options(self.settings, "test"))
        try:
            async with asyncio.timeout(3):
                await admin.start()
                await admin.list_topics()
        except (KafkaError, OSError):
            return False
        finally:
            with suppress(KafkaError, OSError):
                await admin.close()
        return True


@contextmanager
def own_broker() -> Iterator[Broker]:
    """Run a broker for one test alone."""
    with stack_folder("broker") as folder:
        stack = Stack(folder, Ports.free(), {}, durable=False)
        stack.launch(["kafka"], ends_with_caller=True)
        try:
            stack.start("kafka")
            yield Broker(stack)
        finally:
            stack.stop()
