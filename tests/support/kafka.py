"""What tests of Kafka share: topics of their own, events, a handler that collects, a broker to kill."""

from __future__ import annotations

import asyncio
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
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
from tests.support.waiting import eventually

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def settings_for(environment: Mapping[str, str]) -> KafkaSettings:
    """Settings of the broker that an environment names, with its login."""
    return KafkaSettings.model_validate(
        {name.lower(): value for name, value in environment.items() if name.startswith("KAFKA_")}
    )


def kafka_environment(settings: KafkaSettings) -> dict[str, str]:
    """The variables by which a process reaches a broker."""
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
    """Make a topic of the same events that belongs to one test; `service` writes, consumes and reads it."""
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
    """One event of a user."""
    given = {"event_id": str(uuid.uuid4()), "tenant": "shop", "event_type": "view", "item_id": "i1"}
    return InteractionRecorded(**{**given, "user_id": user, "occurred_at": NOW, "received_at": NOW, **fields})


def interactions(count: int, users: int = 50) -> list[InteractionRecorded]:
    """Events of many users, with ids that tell their order per user."""
    return [interaction(f"u{n % users}", event_id=f"{uuid.uuid4()}:{n:08d}") for n in range(count)]


def refreshed(tenant: str, activation: int) -> CacheRefreshed:
    """One state of a tenant."""
    return CacheRefreshed(
        event_id=f"{tenant}-{activation}",
        tenant=tenant,
        occurred_at=NOW,
        activation=activation,
        generations={"popularity": activation},
    )


STATES = CACHES
"""A compacted topic to make others like."""


@dataclass
class Collector:
    """A handler that keeps what it gets, after it was told to fail by `fail`."""

    events: list[Any] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    fail: Callable[[Sequence[Any]], BaseException | None] = lambda _: None
    seconds: float = 0.0

    async def __call__(self, events: Sequence[Any]) -> None:
        """Fail or keep."""
        self.calls.append(len(events))
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if (error := self.fail(events)) is not None:
            raise error
        self.events += events

    @property
    def ids(self) -> list[str]:
        """Ids in the order they came."""
        return [event.event_id for event in self.events]

    async def until(self, condition: Callable[[Collector], bool]) -> None:
        """Wait for something to be true of what came."""
        await eventually(lambda: condition(self), "the handler was given what is needed")

    async def until_ids(self, events: Sequence[Event]) -> None:
        """Wait until every one of `events` came at least once."""
        wanted = {event.event_id for event in events}
        await eventually(lambda: wanted <= set(self.ids), f"{len(wanted)} events came to the handler")


@asynccontextmanager
async def running(*parts: Part) -> AsyncIterator[None]:
    """Start the parts in order, and stop them in reverse."""
    async with AsyncExitStack() as stack:
        for part in parts:
            stack.push_async_callback(part.stop)
            await part.start()
        yield


async def skip_to_end(settings: KafkaSettings, topic: Topic, group: str) -> None:
    """Let a group without members begin behind what other tests have published."""
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


async def raw_records(
    settings: KafkaSettings, topic: str, count: int | None = None
) -> list[ConsumerRecord[bytes, bytes]]:
    """Everything in a topic as bytes, up to its present end or the first `count`."""
    found: list[ConsumerRecord[bytes, bytes]] = []
    async with offsets(settings) as asked:
        ends = await asked.ends(topic)
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
        left = set(ends)
        while left and (count is None or len(found) < count):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += records
            left = {at for at in left if await consumer.position(TopicPartition(topic, at)) < ends[at]}
    finally:
        await consumer.stop()
    return found


async def until_letters(
    settings: KafkaSettings, graveyard: str, count: int
) -> list[ConsumerRecord[bytes, bytes]]:
    """The dead letters of a topic, once there are `count`."""
    letters: list[ConsumerRecord[bytes, bytes]] = await eventually(
        lambda: raw_records(settings, graveyard),
        f"{count} letters in {graveyard}",
        enough=lambda found: len(found) >= count,
        every=0.1,
    )
    return letters


@dataclass(frozen=True)
class Broker:
    """A broker of its own, which a test may kill, freeze and stop."""

    stack: Stack

    @property
    def settings(self) -> KafkaSettings:
        """Its address."""
        return settings_for(self.stack.environment)

    def kill(self) -> None:
        """Kill -9; it is started again at once."""
        self.stack.kill("kafka")

    def freeze(self) -> None:
        """SIGSTOP."""
        self.stack.kill("kafka", signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.stack.kill("kafka", signal.SIGCONT)

    async def stop(self) -> None:
        """Stop it, so that it stays away."""
        await asyncio.to_thread(self.stack.supervisor.stop, "kafka")

    async def start(self) -> None:
        """Start it again and wait until it takes requests."""
        await asyncio.to_thread(self.stack.supervisor.start, "kafka")
        await self.until_ready()

    async def until_ready(self) -> None:
        """Wait until it answers, and no earlier than it can."""
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
    """Run a broker that nobody else uses."""
    with tempfile.TemporaryDirectory(prefix="endcap-broker-", ignore_cleanup_errors=True) as folder:
        stack = Stack(Path(folder), Ports.free(), {}, durable=False)
        stack.launch(["kafka"], ends_with_caller=True)
        try:
            stack.start("kafka")
            yield Broker(stack)
        finally:
            stack.stop()
