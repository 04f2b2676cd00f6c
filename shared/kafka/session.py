"""A reading session: a FastStream batch subscriber that is replaced by a new one after any failure.

A consumer that failed can't be repaired (hazards 3, 7 and 10 in `adapter`); a new one starts at the committed
offsets, so that nothing is skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker, KafkaMessage

from shared.kafka.adapter import (
    CONSUMER_OPTIONS,
    GATHER_SECONDS,
    STATE_OPTIONS,
    PolledConsumer,
    Records,
    reading_broker,
)
from shared.kafka.connection import client_options
from shared.kafka.progress import Progress
from shared.kafka.wiring import Receive, declare_subscriber

if TYPE_CHECKING:
    from shared.events.topics import Topic
    from shared.kafka.activity import Activity
    from shared.settings import KafkaSettings

OPEN_SECONDS: Final = 60.0
"""Time that a consumer may take to join its group: longer than two session timeouts; arbitrary."""

CLOSE_SECONDS: Final = 6.0
"""Time that it may take to close, `GRACE_SECONDS` for the handler included; arbitrary."""

FIRST_PAUSE_SECONDS: Final = 0.2
MAX_PAUSE_SECONDS: Final = 10.0
"""Pauses between two consumers double from the first to this one; arbitrary."""

LONG_LIFE_SECONDS: Final = 30.0
"""After a consumer that lived for this long the pauses start at the first again; arbitrary."""

log = structlog.get_logger()


class Session:
    """Reads a topic, as a member of `group`, or all partitions from their first records without a group.

    It replaces its consumer after a failure and when the subscription halts. A consumer that has ended
    handles and commits nothing more, except for the call of a handler that is running.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        client_id: str,
        topic: Topic,
        *,
        group: str | None,
        batch: int,
        receive: Receive,
        opened: Callable[[], Awaitable[None]] | None = None,
        gather: float = GATHER_SECONDS,
        activity: Activity | None = None,
    ) -> None:
        """`receive` gets the records of each poll; `opened` is called for each new consumer.

        `gather` is the pause in seconds after a poll with records, handling included. `activity` is told
        when Kafka can't be reached.
        """
        self._topic = topic
        self.group = group
        self._settings = settings
        self._client_id = client_id
        self._batch = batch
        self._receive = receive
        self._opened = opened
        self._gather = gather
        self._activity = activity
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._reopen_seconds: float | None = None
        self._progress: Progress | None = None
        self.opening = False
        """True while a consumer is being opened, which is bounded by `OPEN_SECONDS`."""
        self.consumer: PolledConsumer | None = None

    def start(self) -> None:
        """Start reading; Kafka need not be reachable."""
        self._task = asyncio.create_task(self._run(), name=f"kafka-{self._topic.name}")

    async def stop(self) -> None:
        """Give the running call of a handler `GRACE_SECONDS` to return, then close."""
        self._stopping.set()
        self._end()
        if self._task is not None:
            if self.opening:
                self._task.cancel()
            _, late = await asyncio.wait([self._task], timeout=CLOSE_SECONDS + 1)
            if late:
                self._task.cancel()

    def reopen_after(self, seconds: float) -> None:
        """End this consumer and open the next one, at the committed offsets, after `seconds`."""
        self._reopen_seconds = seconds
        self._end()

    def failure(self) -> str | None:
        """Return why reading has ended for good, which only a defect can cause; else None."""
        if self._task is None or not self._task.done() or self._stopping.is_set():
            return None
        return f"reading {self._topic.name} ended: {self._task}"

    async def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            broker = self._build()
            began = monotonic()
            try:
                consumer = await self._open(broker)
                log.info("kafka.consumer_open", topic=self._topic.name, group=self.group)
                await self._until_ended(consumer)
            except (KafkaError, OSError) as error:  # TimeoutError is an OSError
                log.warning(
                    "kafka.consumer_waits", topic=self._topic.name, group=self.group, error=repr(error)
                )
                if self._activity is not None:
                    self._activity.waits(f"Kafka is not reachable, {error!r}")
            except Exception:
                log.exception("kafka.consumer_broken", topic=self._topic.name, group=self.group)
            finally:
                # While it closes, the running call of the handler may return and be committed.
                await _close(broker)
                self.consumer = None
            if monotonic() - began > LONG_LIFE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            reopen_seconds, self._reopen_seconds = self._reopen_seconds, None
            await self._pause(pause if reopen_seconds is None else reopen_seconds)
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    async def _until_ended(self, consumer: PolledConsumer) -> None:
        await consumer.ending.wait()
        if consumer.failure is not None and not self._stopping.is_set():
            log.error(
                "kafka.consumer_failed",
                topic=self._topic.name,
                group=self.group,
                exc_info=consumer.failure,
            )

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _build(self) -> KafkaBroker:
        broker = reading_broker(self._settings, self._end)
        self._progress = Progress() if self.group is not None else None
        declare_subscriber(
            broker,
            self._topic,
            self._receive,
            group=self.group,
            batch=self._batch,
            parser=self._parsed,
            progress=self._progress,
        )
        return broker

    def declared(self) -> KafkaBroker:
        """Return a broker with the declared subscriber, for the AsyncAPI document; it does not connect."""
        return self._build()

    async def _open(self, broker: KafkaBroker) -> PolledConsumer:
        self.opening = True
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await broker.connect()
                # FastStream builds its consumers with this function instead of the class of aiokafka.
                options = client_options(self._settings, self._client_id)
                broker.config.broker_config.builder = partial(self._consumer, options)
                await broker.start()
                if self._opened is not None:
                    await self._opened()
        finally:
            self.opening = False
        consumer = cast("PolledConsumer", self.consumer)
        consumer.opened_at = monotonic()
        if self._activity is not None:
            self._activity.worked()
        return consumer

    def _consumer(self, options: dict[str, Any], **faststream_options: Any) -> PolledConsumer:
        own = CONSUMER_OPTIONS if self.group is not None else CONSUMER_OPTIONS | STATE_OPTIONS
        consumer = PolledConsumer(**{**faststream_options, **options, **own})
        consumer.ending = asyncio.Event()
        consumer.polled_at = consumer.opened_at = monotonic()
        consumer.progress = self._progress
        consumer.gather = self._gather
        self.consumer = consumer
        return consumer

    def _end(self, failure: BaseException | None = None) -> None:
        """End the consumer; after a failure the next one starts at the committed offsets."""
        if self.consumer is not None:
            self.consumer.end(failure)

    async def _parsed(self, records: Records) -> KafkaMessage:
        """Return the records with key, value and headers as the bytes that they are."""
        return KafkaMessage(body=b"", raw_message=records, consumer=cast("Any", self.consumer))


async def _close(broker: KafkaBroker) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await broker.stop()
    except TimeoutError:
        log.warning("kafka.consumer_close_timed_out")
    except Exception:
        log.exception("kafka.consumer_close_failed")
