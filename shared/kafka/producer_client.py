"""aiokafka's producer, with pauses between attempts to connect, and less work for each record."""

from __future__ import annotations

import asyncio
import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer, TopicPartition

from shared.kafka.reconnects import ReconnectPauses
from shared.kafka.records import partition_of
from shared.kafka.send_groups import SendGroups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.kafka.records import Record


class ProducerClient(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's producer. Records share the future of their batch; `send` makes one for each of them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._groups = SendGroups(self._enqueue)
        ReconnectPauses(self.client)

    async def deliver(
        self, topic: str, records: Sequence[Record], sent: list[asyncio.Future[Any]], deadline: float
    ) -> None:
        """Send all records, then wait for all.

        `sent` receives the future of each record's batch, which shows the progress of an interrupted call.
        Raises TimeoutError at the deadline, in seconds of the loop's clock, and the error of a batch.
        """
        try:
            enqueued = await self._groups.send(topic, records, sent, deadline)
            if enqueued < len(records):
                async with asyncio.timeout_at(deadline):
                    await self._deliver(topic, records[enqueued:], sent)
        except BaseException:
            for future in sent:
                future.add_done_callback(_retrieve_exception)
            raise

    def _enqueue(self, topic: str, records: Sequence[Record]) -> list[asyncio.Future[Any]]:
        """Append records to the last batches of their partitions; return the futures of the batches.

        It ends before the first record that would have to wait: one without a key, one whose batch is full,
        or of a topic whose partitions are not known.
        """
        accumulator, known = self._message_accumulator, self.client.cluster.partitions_for_topic(topic)
        futures: list[asyncio.Future[Any]] = []
        if accumulator._closed or accumulator._exception is not None or not known:  # noqa: SLF001
            return futures
        partitions = len(known)
        for record in records:
            if record.key is None:
                break
            place = _topic_partition(topic, partition_of(record.key, partitions))
            batches = accumulator._batches.get(place)  # noqa: SLF001
            batch = (
                batches[-1]
                if batches
                else accumulator._append_batch(  # noqa: SLF001
                    accumulator.create_builder(), place
                )
            )
            appended = batch._builder.append(  # noqa: SLF001
                timestamp=None, key=record.key, value=record.value, headers=list(record.headers)
            )
            if appended is None:
                break
            futures.append(batch.future)
        return futures

    async def _deliver(self, topic: str, records: Sequence[Record], sent: list[asyncio.Future[Any]]) -> None:
        """Send records as aiokafka does: each waits for room in the batch of its partition."""
        partitions = len(await self.partitions_for(topic))
        futures = []
        for record in records:
            headers = list(record.headers)
            partition = None if record.key is None else partition_of(record.key, partitions)
            futures.append(
                await self.send(topic, record.value, key=record.key, partition=partition, headers=headers)
            )
            sent.append(futures[-1])
        # Not `await future`: a call that ends early would cancel the batch of the others.
        await asyncio.wait(set(futures), return_when=asyncio.FIRST_EXCEPTION)
        for future in futures:
            _raise_copy(future)


@lru_cache(maxsize=4_096)
def _topic_partition(topic: str, partition: int) -> TopicPartition:
    return TopicPartition(topic, partition)


def _raise_copy(future: asyncio.Future[Any]) -> None:
    """Raise a copy of a future's exception, if it has one: each call adds its own traceback to it."""
    if future.done() and (error := future.exception()) is not None:
        raise copy.copy(error)


def _retrieve_exception(future: asyncio.Future[Any]) -> None:
    """Mark the exception of a future without a waiter as retrieved; asyncio would log it."""
    if not future.cancelled():
        future.exception()
