"""One topic, one group, one handler: decode, handle, dead-letter what is bad, commit.

A subscription reads, handles or waits; and it halts when the records of several tenants fail for a defect.
It comes back from that by itself: after a while it begins again at the committed offset, and halts again if
the record there still is bad. See
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

from shared.kafka.activity import FIRST_PAUSE_SECONDS, Activity, Ending
from shared.kafka.adapter import Records
from shared.kafka.calling import Caller, Handler
from shared.kafka.deadletters import DeadLetters, Failure
from shared.kafka.halting import BadRun, Halt
from shared.kafka.records import Decoder, Tombstone, Undecodable, header
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
COMMIT_TRIES = 3
UNEXPECTED_TRIES = 3

CONSUMED = counter("endcap_kafka_consumed_total", "Events that a handler has taken.", ["topic", "group"])

log = structlog.get_logger()


class TooManyBadRecords(Exception):
    """Stop before the next record goes to the dead-letter topic."""


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
    ) -> None:
        """Remember; `session` reads once it is started."""
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
        self._caller = Caller(handler, self.activity, topic.name, group)
        self._dead_letters = DeadLetters(dead_letters, topic.dlq(service), self.activity, topic.name, group)
        self._bad_run = BadRun(max_consecutive_bad, settings.kafka_halt_tenants)
        self._consumed = CONSUMED.labels(topic.name, group)

    async def _receive(self, records: Records) -> None:
        """Handle one poll in order, to its last record or to where the consumer ends, and commit."""
        consumer = self.session.consumer
        if consumer is None:
            return
        too_many: str | None = None
        with self.activity.handling():
            try:
                await self._work_through(consumer, records)
            except Ending:
                pass
            except TooManyBadRecords as error:
                too_many = str(error)
            finally:
                await self._commit(consumer)
        # Only now: once it ends, a consumer does not wait for Kafka to take a commit.
        if too_many is not None:
            self._halt(too_many)

    async def _work_through(
        self, consumer: PolledConsumer, records: Sequence[ConsumerRecord[bytes, bytes]]
    ) -> None:
        """Handle the runs of good records, and dead-letter the bad ones between them."""
        if known := self._dead_letters.among(records):
            consumer.finish(known)
            records = [record for record in records if record not in known]
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

    def _decode(
        self, records: Sequence[ConsumerRecord[bytes, bytes]], begin: int
    ) -> tuple[list[BaseModel | Tombstone], Failure | None]:
        """Decode from `begin` up to the first bad record."""
        events: list[BaseModel | Tombstone] = []
        for record in records[begin:]:
            try:
                events.append(self._decoder.decode(record))
            except Undecodable as error:
                return events, Failure(error.reason, str(error), attempts=1)
        return events, None

    async def _handle(
        self,
        consumer: PolledConsumer,
        records: Sequence[ConsumerRecord[bytes, bytes]],
        events: Sequence[BaseModel | Tombstone],
    ) -> None:
        """Give the events to the handler; when it fails, the first half of them, then the others."""
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
        """Return how often an unexpected error is tried: once with others, or after many of one tenant."""
        if len(records) > 1 or self._bad_run.has_its_share(self._decoder.tenant(records[0])):
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
        """Put a record into the dead-letter topic, unless it is one too many for a defect."""
        if failure.is_a_defect:
            tenant = self._decoder.tenant(record)
            if self._bad_run.is_too_many_with(tenant):
                raise TooManyBadRecords(failure.reason)
            self._bad_run.add(tenant)
        await self._dead_letters.put(record, failure, consumer.ending)
        consumer.finish([record])

    async def _commit(self, consumer: PolledConsumer) -> None:
        """Commit what is finished, until Kafka has taken it or somebody else has the partitions.

        A client that has lost its coordinator may look for it for ever, also after Kafka has come back: when
        one commit after the other has no end, it is replaced, and its successor gets the records again.
        """
        unanswered = 0
        while consumer.uncommitted() and self.session.consumer is consumer:
            try:
                async with asyncio.timeout(COMMIT_SECONDS):
                    committed = await consumer.commit_finished()
            except (CommitFailedError, IllegalStateError) as error:
                # The group was rebalanced meanwhile: whoever has the partition now repeats these
                # records, which idempotent handlers absorb.
                log.info("kafka.commit_outdated", **self._names, error=repr(error))
                return
            except (KafkaError, OSError) as error:  # TimeoutError is an OSError
                log.warning("kafka.commit_waits", **self._names, error=repr(error))
                self.activity.waits(f"Kafka took no commit, {error!r}")
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
        """Leave the group for a while, and then begin again at the bad record."""
        seconds = self.halt.begin(
            f"stopped after {self._bad_run.limit} bad records in a row; the last: {reason}. Look into "
            f"{self._dead_letters.topic}, and mend the producer or this reader"
        )
        log.critical("kafka.consumer_halted", **self._names, reason=self.halt.reason, again_in=seconds)
        self.session.reopen_after(seconds)

    def _recovered(self) -> None:
        """Note that a record is good again."""
        self._bad_run.good()
        if self.halt.end():
            log.warning("kafka.consumer_recovered", **self._names)

    def caught_up(self) -> None:
        """Note that no record waits in this process's partitions: there is nothing to halt for."""
        self.halt.end()

    def ready(self) -> str | None:
        """Why it doesn't get on: it has halted, or has been waiting for a dependency for long."""
        return self.halt.reason or self.activity.long_wait()

    def alive(self) -> str | None:
        """Why only a restart may help: a defect ended it, or it has been halted for long."""
        return self.session.failure() or self.halt.lasting()
