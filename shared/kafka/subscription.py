"""One topic, one group, one handler: decode, handle, bury what is bad, commit."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from opentelemetry.trace import SpanKind

from shared.errors import Permanent, Transient
from shared.kafka.away import AWAY
from shared.kafka.deadletters import BURIED, HEADERS, Failure, dead_letter
from shared.kafka.records import Decoder, Tombstone, Undecodable, header
from shared.kafka.session import Records, Session, positions_after
from shared.observability import counter, histogram, tracing

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord
    from pydantic import BaseModel

    from shared.events.topics import Topic
    from shared.kafka.producer import Producer
    from shared.settings import KafkaSettings

Handler = Callable[[Sequence[Any]], Awaitable[None]]

COMMIT_SECONDS = 5.0
COMMIT_TRIES = 3
BURY_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 10.0
UNEXPECTED_TRIES = 3

CONSUMED = counter("endcap_kafka_consumed_total", "Events that a handler has taken.", ["topic", "group"])
RETRIED = counter(
    "endcap_kafka_retries_total", "Calls of a handler that are tried again.", ["topic", "group"]
)
SECONDS = histogram("endcap_kafka_handler_seconds", "One call of a handler.", ["topic", "group"])

log = structlog.get_logger()


class Stopping(Exception):
    """The process ends: leave the records uncommitted, the next process handles them."""


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
        self.halted: str | None = None
        self.active_at = monotonic()
        """When this subscription last got on: a handler returned, or a dependency was found away."""
        self.busy = False
        self.session = Session(
            settings,
            f"{service}-{topic.name}",
            topic.name,
            group=group,
            batch=batch,
            gather=gather,
            receive=self._receive,
        )
        self._handler = handler
        self._decoder = Decoder(topic)
        self._graveyard = topic.dlq(service)
        self._dead_letters = dead_letters
        self._max_consecutive_bad = max_consecutive_bad
        self._bad_in_a_row = 0
        self._consumed = CONSUMED.labels(topic.name, group)
        self._retried = RETRIED.labels(topic.name, group)
        self._seconds = SECONDS.labels(topic.name, group)

    async def _receive(self, records: Records) -> None:
        self.busy = True
        self.active_at = monotonic()
        try:
            await self._work_through(records)
        except Stopping:
            pass
        finally:
            self.busy = False
            self.active_at = monotonic()

    async def _work_through(self, records: Records) -> None:
        """Handle runs of good records and bury the bad ones between them, in order."""
        done = 0
        too_many: str | None = None
        try:
            async for finished in self._finished(records):
                done += finished
        except TooManyBadRecords as error:
            too_many = str(error)
        finally:
            if done:
                await self._commit(records[:done])
        # Only now: nobody commits for long once the session is to stop, and the next process would bury
        # the same records again.
        if too_many is not None:
            self._halt(too_many)

    async def _finished(self, records: Records) -> AsyncIterator[int]:
        """Work through the records; say each time how many more need not come again."""
        done = 0
        while done < len(records):
            good, bad = self._decode(records, done)
            if good:
                async for finished in self._handle(records[done : done + len(good)], good):
                    yield finished
                done += len(good)
            if bad is not None:
                await self._bury(records[done], bad)
                yield 1
                done += 1

    def _decode(self, records: Records, begin: int) -> tuple[list[BaseModel | Tombstone], Failure | None]:
        """Decode from `begin` up to the first bad record."""
        good: list[BaseModel | Tombstone] = []
        for record in records[begin:]:
            try:
                good.append(self._decoder.decode(record))
            except Undecodable as error:
                return good, Failure(error.reason, str(error), attempts=1)
        return good, None

    async def _handle(
        self,
        records: Sequence[ConsumerRecord[bytes, bytes]],
        events: Sequence[BaseModel | Tombstone],
    ) -> AsyncIterator[int]:
        """Give the events to the handler together; when it refuses them, one by one."""
        with self._span(records):
            failure = await self._call(events, tries=1)
        if failure is None:
            self._bad_in_a_row = 0
            self._consumed.inc(len(events))
            yield len(events)
            return
        for record, event in zip(records, events, strict=True):
            with self._span([record]):
                failure = await self._call([event], tries=UNEXPECTED_TRIES)
            if failure is None:
                self._bad_in_a_row = 0
                self._consumed.inc()
            else:
                await self._bury(record, failure)
            yield 1

    def _span(
        self, records: Sequence[ConsumerRecord[bytes, bytes]]
    ) -> contextlib.AbstractContextManager[None]:
        received = (header(record, "traceparent") or "" for record in records)
        return tracing.work(f"{self.topic.name} process", received, SpanKind.CONSUMER)

    async def _call(self, events: Sequence[BaseModel | Tombstone], tries: int) -> Failure | None:
        """Call the handler until it takes the events or refuses them for good."""
        attempts, unexpected, pause = 0, 0, FIRST_PAUSE_SECONDS
        while True:
            attempts += 1
            try:
                with self._seconds.time():
                    await self._handler(events)
            except Permanent as error:
                return Failure(type(error).__name__, str(error), attempts, refused=True)
            except AWAY as error:
                log.warning("kafka.handler_waits", **self._names, error=repr(error), again_in=pause)
            except Exception as error:
                unexpected += 1
                log.exception("kafka.handler_failed", **self._names, events=len(events))
                if unexpected >= tries:
                    return Failure(type(error).__name__, repr(error), attempts)
            else:
                self.active_at = monotonic()
                return None
            self._retried.inc()
            await self._pause(pause)
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    async def _bury(self, record: ConsumerRecord[bytes, bytes], failure: Failure) -> None:
        """Put a record into the dead-letter topic, however long Kafka takes for it."""
        # A version that this reader doesn't know yet says nothing against reader or writer. Neither does
        # an event that the handler understood and refused: one tenant's must not stop all the others.
        if failure.kind != "unsupported_version" and not failure.refused:
            if self._bad_in_a_row + 1 >= self._max_consecutive_bad:
                raise TooManyBadRecords(failure.reason)
            self._bad_in_a_row += 1
        letter, pause = dead_letter(record, failure, self.group), FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._dead_letters.deliver(self._graveyard, [letter], BURY_SECONDS)
            except Transient as error:
                log.warning("kafka.dead_letter_waits", **self._names, error=str(error))
                await self._pause(pause)
                pause = min(pause * 2, MAX_PAUSE_SECONDS)
            except Permanent:
                # Somebody with other limits wrote it. The letter still says where the record lies.
                letter = replace(letter, value=None, headers=letter.headers[-len(HEADERS) :])
            else:
                break
        BURIED.labels(self.topic.name, self.group, failure.kind).inc()
        log.error(
            "kafka.dead_letter",
            **self._names,
            partition=record.partition,
            offset=record.offset,
            kind=failure.kind,
            reason=failure.reason,
        )

    def _halt(self, reason: str) -> None:
        self.halted = (
            f"reading {self.topic.name} as {self.group} stopped after {self._max_consecutive_bad} bad "
            f"records in a row; the last: {reason}. Look into {self._graveyard}, mend the producer or "
            "this reader, and restart"
        )
        log.critical("kafka.consumer_halted", **self._names, reason=self.halted)
        self.session.stopping.set()

    async def _commit(self, records: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
        """Commit explicit offsets, until Kafka has taken them or somebody else has the partitions.

        A client that has lost its coordinator may look for it for ever, also after Kafka has come back: when
        one commit after the other has no end, it is replaced, and its successor gets the records again.
        """
        positions, unanswered = positions_after(records), 0
        while (consumer := self.session.consumer) is not None:
            mine = {tp: at for tp, at in positions.items() if tp in consumer.assignment()}
            if not mine:
                return
            try:
                async with asyncio.timeout(COMMIT_SECONDS):
                    await consumer.commit(mine)
            except (CommitFailedError, IllegalStateError) as error:
                # The group was rebalanced meanwhile: whoever has the partition now repeats these
                # records, which idempotent handlers absorb.
                log.info("kafka.commit_outdated", **self._names, error=repr(error))
                return
            except (KafkaError, OSError) as error:  # TimeoutError is an OSError
                log.warning("kafka.commit_waits", **self._names, error=repr(error))
                self.active_at = monotonic()
                if self.session.stopping.is_set():
                    return
                unanswered = unanswered + 1 if isinstance(error, TimeoutError) else 0
                if unanswered == COMMIT_TRIES:
                    raise
                await asyncio.sleep(FIRST_PAUSE_SECONDS)
            else:
                return

    async def _pause(self, seconds: float) -> None:
        """Wait, unless the process ends; the watchdog has no reason to doubt until the wait is over."""
        self.active_at = monotonic() + 1.2 * seconds
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds * random.uniform(0.8, 1.2)):  # noqa: S311
                await self.session.stopping.wait()
        self.active_at = monotonic()
        if self.session.stopping.is_set():
            raise Stopping

    @property
    def _names(self) -> dict[str, str]:
        return {"topic": self.topic.name, "group": self.group}
