"""A compacted topic in memory: the newest state of every key, read from the start and kept up to date.

See docs/decisions/0007-state-topics.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from shared.events import Event
from shared.kafka.adapter import PolledConsumer, Records
from shared.kafka.records import Decoder, Tombstone, Undecodable
from shared.kafka.session import Session
from shared.observability import counter, gauge

if TYPE_CHECKING:
    from shared.events.topics import Topic
    from shared.settings import KafkaSettings

State = TypeVar("State", bound=Event)

BATCH = 5_000
"""Records of a poll; arbitrary."""

LOOK_SECONDS = 0.02
"""Interval in which the position is compared with the end while the topic is read; arbitrary."""

UNREADABLE = counter("endcap_kafka_unreadable_states_total", "States that could not be decoded.", ["topic"])
REFUSED = counter(
    "endcap_kafka_refused_states_total", "States that the reader of a topic failed to take.", ["topic"]
)
STATES = gauge("endcap_kafka_states", "States in memory.", ["topic"])

log = structlog.get_logger()


class StateTable(Generic[State]):
    """The states of a topic by key, as a part of a process.

    Every process reads the topic from its first record, without a consumer group. `on_change(key, state)` is
    called for each new state, and with None for each deletion. A state for which it fails, and one that can't
    be decoded, are counted and logged, and don't block the others. `on_complete(keys)` is called with all
    keys after each complete read: a caller that has read states from the owner's view before then drops those
    that were deleted, whose tombstones may be compacted away.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topic: Topic,
        on_change: Callable[[str, State | None], None] | None = None,
        on_complete: Callable[[set[str]], None] | None = None,
        *,
        keep: bool = True,
    ) -> None:
        """Read `topic`; ValueError if it is not compacted.

        Without `keep` the table stores no states: `on_change` stores what it needs, and is called for each
        tombstone, also of unknown keys.
        """
        if not topic.compacted:
            message = f"{topic.name} is not compacted: read it with a Consumer"
            raise ValueError(message)
        self.topic = topic
        self.name = f"states-{topic.name}"
        self.states: dict[str, State] = {}
        self.caught_up = False
        self._keep = keep
        self._on_change = on_change
        self._on_complete = on_complete
        self._decoder = Decoder(topic)
        self._reader: PolledConsumer | None = None
        self._seen: set[str] | None = None
        self._follower: asyncio.Task[None] | None = None
        self._session = Session(
            settings,
            self.name,
            topic,
            group=None,
            batch=BATCH,
            receive=self._receive,
            opened=self._opened,
        )

    async def start(self) -> None:
        """Start reading; Kafka need not be reachable."""
        self._session.start()

    async def stop(self) -> None:
        """Stop reading."""
        if self._follower is not None:
            self._follower.cancel()
        await self._session.stop()

    def alive(self) -> str | None:
        """Return why reading has ended, which only a defect can cause; else None."""
        return self._session.failure()

    def ready(self) -> str | None:
        """Return None: callers read a state that is not here yet from the owner's view."""
        return None

    async def _opened(self) -> None:
        """Read the end offsets; the table is complete once it has read up to them."""
        consumer = self._begin()
        ends = await consumer.end_offsets(list(consumer.assignment()))
        if self._follower is not None:
            self._follower.cancel()
        self._follower = asyncio.create_task(self._until_complete(consumer, ends))

    def _begin(self) -> PolledConsumer:
        """Return the session's consumer; a new one reads the topic from its first record again."""
        consumer = self._session.consumer
        assert consumer is not None
        if consumer is not self._reader:
            self._reader = consumer
            self._seen = set()
        return consumer

    async def _until_complete(self, consumer: PolledConsumer, ends: dict[TopicPartition, int]) -> None:
        try:
            while not await _has_read(consumer, ends):  # noqa: ASYNC110 - positions have no event
                await asyncio.sleep(LOOK_SECONDS)
        except (KafkaError, OSError):
            return  # this consumer is closed; the next one reads the topic again
        # Keys that are in the table but not in the topic were deleted while it was not read.
        keys = self._seen or set()
        for key in self.states.keys() - keys:
            self._set(key, None)
        self._seen = None
        self.caught_up = True
        if self._on_complete is not None:
            self._notify("every key", self._on_complete, keys)
        log.info("kafka.states_complete", topic=self.topic.name, states=len(keys))

    async def _receive(self, records: Records) -> None:
        self._begin()
        for record in records:
            key = (record.key or b"").decode(errors="replace")
            self._see(key, is_there=record.value is not None)
            try:
                state = self._decoder.decode(record)
            except Undecodable as error:
                UNREADABLE.labels(self.topic.name).inc()
                log.error(  # noqa: TRY400 - the traceback adds nothing
                    "kafka.state_unreadable",
                    topic=self.topic.name,
                    key=key,
                    offset=record.offset,
                    reason=str(error),
                )
                continue
            self._set(key, None if isinstance(state, Tombstone) else cast("State", state))
        if self._keep:
            STATES.labels(self.topic.name).set(len(self.states))

    def _see(self, key: str, *, is_there: bool) -> None:
        if self._seen is not None and is_there:
            self._seen.add(key)
        elif self._seen is not None:
            self._seen.discard(key)

    def _set(self, key: str, state: State | None) -> None:
        if not self._keep:
            pass
        elif state is not None:
            self.states[key] = state
        elif self.states.pop(key, None) is None:
            return
        if self._on_change is not None:
            self._notify(key, self._on_change, key, state)

    def _notify(self, key: str, listener: Callable[..., None], *arguments: object) -> None:
        """Call a listener; its failure is logged and counted, and does not stop the table."""
        try:
            listener(*arguments)
        except Exception:
            REFUSED.labels(self.topic.name).inc()
            log.exception("kafka.state_refused", topic=self.topic.name, key=key)


async def _has_read(consumer: PolledConsumer, ends: dict[TopicPartition, int]) -> bool:
    positions = [(await consumer.position(partition), end) for partition, end in ends.items()]
    return all(position >= end for position, end in positions)
