"""Reads of single records: by time, or the newest ones, without a group and without a subscription.

A consumer that failed can't be repaired (hazard 10 in `adapter`), so it is closed after any failure, and the
next read opens another one. Between two reads it has no partition, and fetches nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.errors import Transient
from shared.kafka.connection import client_options

if TYPE_CHECKING:
    from shared.events.topics import Topic
    from shared.kafka.records import Received
    from shared.settings import KafkaSettings

POLL_MS: Final = 500
"""Time that one fetch may take; the limit of a whole read is the caller's. Arbitrary."""
POLL_RECORDS: Final = 500
CLOSE_SECONDS: Final = 2.0

Visit = Callable[["Received"], bool]
"""Takes a record; True ends the read."""

Read = Callable[[AIOKafkaConsumer], Coroutine[Any, Any, None]]


class BoundedReads:
    """Reads of topics, one after the other. A part: it connects with its first read."""

    name = "record-reader"

    def __init__(self, settings: KafkaSettings, client_id: str, source: str) -> None:
        """`source` names the topics in errors."""
        self._settings = settings
        self._client_id = client_id
        self._source = source
        self._consumer: AIOKafkaConsumer | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Do nothing: the first read connects."""

    async def stop(self) -> None:
        """Close within a few seconds, even if Kafka does not answer."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await asyncio.wait([_close_later(consumer)], timeout=CLOSE_SECONDS)

    def alive(self) -> str | None:
        """Return None: a failed connection is replaced."""
        return None

    def ready(self) -> str | None:
        """Return None: a process is ready without lookups."""
        return None

    async def bounded(self, read: Read, within: float) -> None:
        """Call `read` with the consumer.

        Raise Transient if that takes longer than `within` seconds, or Kafka is not reachable.
        """
        try:
            async with asyncio.timeout(within), self._turn:
                try:
                    await read(await self._connected())
                except BaseException:
                    consumer, self._consumer = self._consumer, None
                    if consumer is not None:
                        _close_later(consumer)
                    raise
        except (KafkaError, OSError) as error:  # TimeoutError is an OSError
            message = f"records of {self._source} could not be read within {within:g} s: {error!r}"
            raise Transient(message) from error

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **client_options(self._settings, self._client_id),
                enable_auto_commit=False,
                auto_offset_reset="none",
            )
            try:
                await consumer.start()
            except BaseException:
                _close_later(consumer)
                raise
            self._consumer = consumer
        return self._consumer


class RecordReader(BoundedReads):
    """Reads records of one topic."""

    def __init__(self, settings: KafkaSettings, service: str, topic: Topic) -> None:
        """Read `topic`; ValueError unless the registry lists `service` in its `lookups` or `consumers`."""
        if service not in topic.lookups | topic.consumers:
            message = f"the registry of topics doesn't list {service} in the lookups of {topic.name}"
            raise ValueError(message)
        super().__init__(settings, service, topic.name)
        self._topic = topic

    async def since(self, partition: int, milliseconds: int, visit: Visit, *, within: float) -> None:
        """Pass the records of a partition to `visit`, in order, until it returns True or all were read.

        The first one is the earliest with a timestamp of at least `milliseconds` since 1970, the last one
        that which is the last now. Raise Transient as `bounded` does.
        """

        async def read(consumer: AIOKafkaConsumer) -> None:
            at = TopicPartition(self._topic.name, partition)
            first = (await consumer.offsets_for_times({at: milliseconds}))[at]
            if first is not None:
                await scan(consumer, {at: first.offset}, visit)

        await self.bounded(read, within)

    async def newest(self, count: int, visit: Visit, *, within: float) -> None:
        """Pass the last `count` records of each partition to `visit`, in no order between partitions.

        Raise Transient as `bounded` does.
        """
        partitions = [TopicPartition(self._topic.name, number) for number in range(self._topic.partitions)]

        async def read(consumer: AIOKafkaConsumer) -> None:
            begins, ends = await bounds(consumer, partitions)
            first = {at: max(begins[at], ends[at] - count) for at in partitions if ends[at] > begins[at]}
            await scan(consumer, first, visit)

        await self.bounded(read, within)


async def bounds(
    consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    """Return the first offset of each partition, and the offset after its last record."""
    return await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)


async def scan(consumer: AIOKafkaConsumer, first: Mapping[TopicPartition, int], visit: Visit) -> None:
    """Visit the records from the offsets `first` to the present ends."""
    if not first:
        return
    ends = await consumer.end_offsets([*first])
    consumer.assign([*first])
    try:
        for at, offset in first.items():
            consumer.seek(at, offset)
        pending = {at for at in first if first[at] < ends[at]}
        while pending:
            polled = await consumer.getmany(*pending, timeout_ms=POLL_MS, max_records=POLL_RECORDS)
            for at, records in polled.items():
                for record in records:
                    if record.offset < ends[at] and visit(record):
                        return
            pending = {at for at in pending if await consumer.position(at) < ends[at]}
    finally:
        consumer.unsubscribe()


_closing: set[asyncio.Task[None]] = set()


def _close_later(consumer: AIOKafkaConsumer) -> asyncio.Task[None]:
    """Close a consumer in the background: with a dead broker that may never end (hazard 7)."""
    task = asyncio.create_task(_closed(consumer))
    _closing.add(task)
    task.add_done_callback(_closing.discard)
    return task


async def _closed(consumer: AIOKafkaConsumer) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await consumer.stop()
    except (KafkaError, OSError):
        await consumer._client.close()  # noqa: SLF001 - what a dead broker holds up is abandoned
