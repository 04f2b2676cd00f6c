"""One topic, one group, one handler: decode, handle, dead-letter bad records, commit.

A subscription halts when the records of several tenants fail for a defect. After a pause it starts again at
the committed offset, and halts again if the record there is still bad. See
docs/decisions/0005-kafka-consumption and docs/decisions/0006-kafka-errors.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from opentelemetry.trace import SpanKind

from shared.kafka.activity import FIRST_PAUSE_SECONDS, Activity, ConsumerEnding
from shared.kafka.adapter import Records
from shared.kafka.deadletters import DeadLetters, Failure
from shared.kafka.halting import BadRecordCounter, Halt
from shared.kafka.records import Decoder, Positioned, Tombstone, Undecodable, header
from shared.kafka.retrying_handler import Handler, RetryingHandler
from shared.kafka.session import Session
from shared.observability import counter, tracing

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord
    from pydantic import BaseModel

    from shared.events.topics import Topic
    from shared.kafka.adapter import PolledConsumer
    from shared.kafka.producer import Producer
    from shared.settings import KafkaSettings

COMMIT_SECONDS = 5.0
"""Time that Kafka may take to confirm a commit; arbitrary."""

COMMIT_TRIES = 3
"""After so many commits in a row without a response the consumer is replaced; arbitrary."""

UNEXPECTED_TRIES = 3
"""Calls of a handler with one event that raises an unexpected error; arbitrary."""

CONSUMED = counter("endcap_kafka_consumed_total", "Events that a handler has handled.", ["topic", "group"])

log = structlog.get_logger()


class TooManyBadRecords(Exception):
    """The limit of bad records in a row is reached: halt before the next one is dead-lettered."""


class Subscription:
    """Handles the records of one topic for one group."""

    def __init__(
        self,
        settings: KafkaSettings,
        topic: Topic,
        handler: Handler,
        *,
        service: str,
        group: str,
        batch: int,
        gather: float,
        dead_letters: Producer,
        max_consecutive_bad: int,
        positions: bool = False,
        only: Sequence[bytes] = (),
    ) -> None:
        """Prepare the subscription; its `session` reads once it is started."""
        self.topic = topic
        self.group = group
        self.activity = Activity(topic.name, group)
        self.halt = Halt(topic.name, group)
        self.session = Session(
            settings,
            f"{service}-{topic.name}",
            topic,
            group=group,
            batch=batch,
            gather=gather,
            receive=self._receive,
            activity=self.activity,
        )
        self._names = {"topic": topic.name, "group": group}
        self._decoder = Decoder(topic)
        self._positions = positions
        self._only = only
        self._caller = RetryingHandler(handler, self.activity, topic.name, group)
        self._dead_letters = DeadLetters(dead_letters, topic.dlq(service), self.activity, topic.name, group)
        self._bad_records = BadRecordCounter(max_consecutive_bad, settings.kafka_halt_tenants)
        self._consumed = CONSUMED.labels(topic.name, group)

    async def _receive(self, records: Records) -> None:
        """Handle the records of one poll in order, until the last one or the consumer's end, and commit."""
        consumer = self.session.consumer
        if consumer is None:
            return
        too_many: str | None = None
        with self.activity.handling():
            try:
                await self._work_through(consumer, records)
            except ConsumerEnding:
                pass
            except TooManyBadRecords as error:
                too_many = str(error)
            finally:
                await self._commit(consumer)
        # After the commit, because a consumer that is ending does not wait for one.
        if too_many is not None:
            self._halt(too_many)

    async def _work_through(
        self, consumer: PolledConsumer, records: Sequence[ConsumerRecord[bytes, bytes]]
    ) -> None:
        """Handle the records that can be decoded, and dead-letter the others between them."""
        if known := self._dead_letters.among(records):
            consumer.finish(known)
            records = [record for record in records if record not in known]
        if self._only:
            matching = [record for record in records if self._is_wanted(record.value or b"")]
            consumer.finish([record for record in records if record not in matching])
            records = matching
        begin = 0
        while begin < len(records):
            events, failure = self._decode(records, begin)
            end = begin + len(events)
            if events:
                await self._handle(consumer, records[begin:end], events)
            if failure is not None:
                await self._dead_letter(consumer, records[end], failure)
                end += 1
            begin = end

    def _is_wanted(self, value: bytes) -> bool:
        return any(text in value for text in self._only)

    def _decode(
        self, records: Sequence[ConsumerRecord[bytes, bytes]], begin: int
    ) -> tuple[list[BaseModel | Tombstone | Positioned], Failure | None]:
        """Return the events from `begin` up to the first record that can't be decoded, and its failure."""
        events: list[BaseModel | Tombstone | Positioned] = []
        for record in records[begin:]:
            try:
                event = self._decoder.decode(record)
                events.append(
                    Positioned(event, record.partition, record.offset) if self._positions else event
                )
            except Undecodable as error:
                return events, Failure(error.reason, str(error), attempts=1)
        return events, None

    async def _handle(
        self,
        consumer: PolledConsumer,
        records: Sequence[ConsumerRecord[bytes, bytes]],
        events: Sequence[BaseModel | Tombstone | Positioned],
    ) -> None:
        """Call the handler with the events; if it fails, with each half of them, down to single events."""
        with self._span(records):
            failure = await self._caller.call(events, self._tries(records), consumer.ending)
        if failure is None:
            self._recovered()
            self._consumed.inc(len(events))
            consumer.finish(records)
        elif len(records) == 1:
            await self._dead_letter(consumer, records[0], failure)
        else:
            half = len(records) // 2
            await self._handle(consumer, records[:half], events[:half])
            await self._handle(consumer, records[half:], events[half:])

    def _tries(self, records: Sequence[ConsumerRecord[bytes, bytes]]) -> int:
        """Return how many calls may fail unexpectedly: one with several records or after many bad ones."""
        if len(records) > 1 or self._bad_records.has_its_share(self._decoder.tenant(records[0])):
            return 1
        return UNEXPECTED_TRIES

    def _span(
        self, records: Sequence[ConsumerRecord[bytes, bytes]]
    ) -> contextlib.AbstractContextManager[None]:
        received = (header(record, "traceparent") or "" for record in records)
        return tracing.work(f"{self.topic.name} process", received, SpanKind.CONSUMER)

    async def _dead_letter(
        self, consumer: PolledConsumer, record: ConsumerRecord[bytes, bytes], failure: Failure
    ) -> None:
        """Write a record to the dead-letter topic; TooManyBadRecords if that would reach the limit."""
        if failure.is_a_defect:
            tenant = self._decoder.tenant(record)
            if self._bad_records.is_too_many_with(tenant):
                raise TooManyBadRecords(failure.reason)
            self._bad_records.add(tenant)
        await self._dead_letters.put(record, failure, consumer.ending)
        consumer.finish([record])

    async def _commit(self, consumer: PolledConsumer) -> None:
        """Commit the finished records, until Kafka confirms or another consumer has the partitions.

        A client that has lost its group coordinator may look for it without end, even after Kafka is back
        (hazard 10): after `COMMIT_TRIES` commits without a response it is replaced, and the next consumer
        gets the records again; test_a_client_whose_commits_have_no_end_is_replaced.
        """
        unanswered = 0
        while consumer.uncommitted() and self.session.consumer is consumer:
            try:
                async with asyncio.timeout(COMMIT_SECONDS):
                    committed = await consumer.commit_finished()
            except (CommitFailedError, IllegalStateError) as error:
                # After a rebalance the new owner of the partition handles these records again, which
                # idempotent handlers tolerate (hazard 6).
                log.info("kafka.commit_outdated", **self._names, error=repr(error))
                return
            except (KafkaError, OSError) as error:  # TimeoutError is an OSError
                log.warning("kafka.commit_waits", **self._names, error=repr(error))
                self.activity.waits(f"Kafka did not confirm a commit, {error!r}")
                if consumer.ending.is_set():
                    return
                unanswered = unanswered + 1 if isinstance(error, TimeoutError) else 0
                if unanswered == COMMIT_TRIES:
                    raise
                await asyncio.sleep(FIRST_PAUSE_SECONDS)
            else:
                self.activity.worked()
                self._dead_letters.forget_before({tp.partition: at for tp, at in committed.items()})
                return

    def _halt(self, reason: str) -> None:
        """Leave the group for a pause, and start again at the bad record."""
        seconds = self.halt.begin(
            f"stopped after {self._bad_records.limit} bad records in a row; the last: {reason}. See "
            f"{self._dead_letters.topic}, and fix the producer or this reader"
        )
        log.critical("kafka.consumer_halted", **self._names, reason=self.halt.reason, retry_seconds=seconds)
        self.session.reopen_after(seconds)

    def _recovered(self) -> None:
        """Reset the count of bad records, and end a halt."""
        self._bad_records.good()
        if self.halt.end():
            log.warning("kafka.consumer_recovered", **self._names)

    def caught_up(self) -> None:
        """End a halt: no record is left in the partitions of this process."""
        self.halt.end()

    def ready(self) -> str | None:
        """Return why it makes no progress: it has halted, or waits for long; else None."""
        return self.halt.reason or self.activity.long_wait()

    def alive(self) -> str | None:
        """Return why a restart may help: a defect has ended it, or it has halted for long; else None."""
        return self.session.failure() or self.halt.lasting()
