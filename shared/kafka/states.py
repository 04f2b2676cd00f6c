"""A compacted topic in memory: the newest state of every key, read whole and kept up to date."""

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
LOOK_SECONDS = 0.02

UNREADABLE = counter("endcap_kafka_unreadable_states_total", "States that could not be decoded.", ["topic"])
REFUSED = counter(
    "endcap_kafka_refused_states_total", "States that the reader of a topic failed to take.", ["topic"]
)
STATES = gauge("endcap_kafka_states", "States in memory.", ["topic"])

log = structlog.get_logger()


class StateTable(Generic[State]):
    """The states of a topic by key. A part: it lives as long as its process.

    Every process reads the topic from its first record, without a consumer group. `changed(key, state)` is
    called for each state that comes, and with None when one goes; a state for which it fails, and one that
    can't be decoded, are counted and logged, and hold up no other. `whole(keys)` is called with the keys of
    all that there is whenever the topic was read from its first record: who has read states elsewhere
    before, from the owner's view, then drops those that are gone without a trace.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topic: Topic,
        changed: Callable[[str, State | None], None] | None = None,
        whole: Callable[[set[str]], None] | None = None,
        *,
        keep: bool = True,
    ) -> None:
        """Read `topic`, which must be compacted.

        Without `keep` the table holds no states: `changed` keeps what it needs of them, and is called for
        each tombstone, whether it has met the key before or not.
        """
        if not topic.compacted:
            message = f"{topic.name} holds facts, not states: read it with a Consumer"
            raise ValueError(message)
        self.topic = topic
        self.name = f"states-{topic.name}"
        self.states: dict[str, State] = {}
        self.caught_up = False
        self._keep = keep
        self._changed = changed
        self._whole = whole
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
        """Begin to read; Kafka may be away."""
        self._session.start()

    async def stop(self) -> None:
        """Stop following."""
        if self._follower is not None:
            self._follower.cancel()
        await self._session.stop()

    def alive(self) -> str | None:
        """Return whether following ended by a defect."""
        return self._session.failure()

    def ready(self) -> str | None:
        """Ready from the start: who needs a state before it is here asks the owner's view."""
        return None

    async def _opened(self) -> None:
        """Note how far the topic reaches; when that is read, the table is whole."""
        consumer = self._begin()
        ends = await consumer.end_offsets(list(consumer.assignment()))
        if self._follower is not None:
            self._follower.cancel()
        self._follower = asyncio.create_task(self._until_whole(consumer, ends))

    def _begin(self) -> PolledConsumer:
        """With a new consumer the topic is read from its first record again."""
        consumer = self._session.consumer
        assert consumer is not None
        if consumer is not self._reader:
            self._reader = consumer
            self._seen = set()
        return consumer

    async def _until_whole(self, consumer: PolledConsumer, ends: dict[TopicPartition, int]) -> None:
        try:
            while not await _read_up_to(consumer, ends):  # noqa: ASYNC110 - nobody tells of positions
                await asyncio.sleep(LOOK_SECONDS)
        except (KafkaError, OSError):
            return  # this consumer is closed; the next one reads the topic again
        # What is in the table but no longer in the topic was deleted while nobody followed.
        there = self._seen or set()
        for key in self.states.keys() - there:
            self._set(key, None)
        self._seen = None
        self.caught_up = True
        if self._whole is not None:
            self._tell("every key", self._whole, there)
        log.info("kafka.states_whole", topic=self.topic.name, states=len(there))

    async def _receive(self, records: Records) -> None:
        self._begin()
        for record in records:
            key = (record.key or b"").decode(errors="replace")
            self._see(key, is_there=record.value is not None)
            try:
                state = self._decoder.decode(record)
            except Undecodable as error:
                UNREADABLE.labels(self.topic.name).inc()
                log.error(  # noqa: TRY400 - the traceback says nothing more
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
        if self._changed is not None:
            self._tell(key, self._changed, key, state)

    def _tell(self, what: str, listener: Callable[..., None], *arguments: object) -> None:
        """Call a listener; what it fails for is passed over, so that all other states are followed."""
        try:
            listener(*arguments)
        except Exception:
            REFUSED.labels(self.topic.name).inc()
            log.exception("kafka.state_refused", topic=self.topic.name, key=what)


async def _read_up_to(consumer: PolledConsumer, ends: dict[TopicPartition, int]) -> bool:
    positions = [(await consumer.position(one), end) for one, end in ends.items()]
    return all(position >= end for position, end in positions)
