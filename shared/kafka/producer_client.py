"""aiokafka's producer, with pauses between attempts to connect, and less work for each record."""

from __future__ import annotations

import asyncio
import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer, TopicPartition

from shared.kafka.reconnects import ReconnectPauses
from shared.kafka.records import partition_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.kafka.records import Record


class ProducerClient(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's producer. Records share the future of their batch; `send` makes one for each of them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        ReconnectPauses(self.client)

    async def deliver(self, topic: str, records: Sequence[Record], sent: list[asyncio.Future[Any]]) -> None:
        """Send all records, then wait for all.

        `sent` receives the future of each record's batch, which shows the progress of an interrupted call.
        """
        try:
            partitions = len(await self.partitions_for(topic))
            for record in records:
                sent.append(await self._enqueue(topic, record, partitions))  # noqa: PERF401 - see above
            # Not `await future`: a call that ends early would cancel the batch of the others.
            batches = set(sent)
            await asyncio.wait(batches, return_when=asyncio.FIRST_EXCEPTION)
            for batch in batches:
                _raise_copy(batch)
        except BaseException:
            for future in sent:
                future.add_done_callback(_retrieve_exception)
            raise

    async def _enqueue(self, topic: str, record: Record, partitions: int) -> asyncio.Future[Any]:
        """Append a record to the last batch of its partition; return the batch's future.

        A record without a key, and one whose batch is full, is sent as aiokafka does.
        """
        future: asyncio.Future[Any]
        if record.key is None:
            future = await self.send(topic, record.value, headers=list(record.headers))
            return future
        partition = partition_of(record.key, partitions)
        accumulator = self._message_accumulator
        if not accumulator._closed and accumulator._exception is None:  # noqa: SLF001
            place = _topic_partition(topic, partition)
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
            if appended is not None:
                future = batch.future
                return future
        future = await self.send(
            topic, record.value, key=record.key, partition=partition, headers=list(record.headers)
        )
        return future


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
