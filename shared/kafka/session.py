"""One consumer at work: a FastStream batch subscriber that is built again whenever it can't be trusted.

FastStream's own ways to acknowledge lose records or repeat them without end, so it is told to leave them
alone (`AckPolicy.MANUAL`); its parser reads headers that foreign records don't have, so it gets ours.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import structlog
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy, BaseMiddleware
from faststream.kafka import KafkaBroker, KafkaMessage

from shared.kafka.connection import client_options
from shared.kafka.polling import CONSUMER_OPTIONS, GATHER_SECONDS, PolledConsumer

if TYPE_CHECKING:
    from types import TracebackType

    from faststream import ContextRepo

    from shared.settings import KafkaSettings

Records = tuple[ConsumerRecord[bytes, bytes], ...]
Receive = Callable[[Records], Awaitable[None]]

OPEN_SECONDS = 60.0
CLOSE_SECONDS = 6.0
GRACE_SECONDS = 3.0
FIRST_PAUSE_SECONDS = 0.2
MAX_PAUSE_SECONDS = 10.0
LONG_LIFE_SECONDS = 30.0
SLEEP_AFTER_NOTHING_MS = 5

log = structlog.get_logger()


class Session:
    """Reads a topic, as a member of `group` or (without one) whole, from its first record on."""

    def __init__(
        self,
        settings: KafkaSettings,
        client_id: str,
        topic: str,
        *,
        group: str | None,
        batch: int,
        receive: Receive,
        opened: Callable[[], Awaitable[None]] | None = None,
        gather: float = GATHER_SECONDS,
    ) -> None:
        """`receive` gets each poll's records; `opened` is called for each new consumer.

        `gather` is how long records may gather after a poll that found some, handling included.
        """
        self.topic = topic
        self.group = group
        self._settings = settings
        self._client_id = client_id
        self._batch = batch
        self._receive = receive
        self._opened = opened
        self._gather = gather
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self.opening = False
        """Whether a consumer is being opened, which ends or is tried again by itself."""
        self.consumer: PolledConsumer | None = None

    def start(self) -> None:
        """Begin; Kafka may be away."""
        self._task = asyncio.create_task(self._run(), name=f"kafka-{self.topic}")

    async def stop(self) -> None:
        """Let the records at hand be finished for `GRACE_SECONDS`, then end."""
        self._stopping.set()
        if self._task is not None:
            if self.opening:
                self._task.cancel()
            _, late = await asyncio.wait([self._task], timeout=CLOSE_SECONDS + 1)
            if late:
                self._task.cancel()

    @property
    def stopping(self) -> asyncio.Event:
        """Set when whoever waits for something should give up."""
        return self._stopping

    def failure(self) -> str | None:
        """Why reading ended for good, which only a defect can make it."""
        if self._task is None or not self._task.done() or self._stopping.is_set():
            return None
        return f"reading {self.topic} ended: {self._task}"

    async def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            broker = self._build()
            began = monotonic()
            try:
                consumer = await self._open(broker)
                log.info("kafka.consumer_open", topic=self.topic, group=self.group)
                await self._until_broken(consumer)
            except (KafkaError, OSError) as error:  # TimeoutError is an OSError
                log.warning("kafka.consumer_waits", topic=self.topic, group=self.group, error=repr(error))
            except Exception:
                log.exception("kafka.consumer_broken", topic=self.topic, group=self.group)
            finally:
                # Records at hand may still be finished and committed while the broker closes.
                await _close(broker)
                self.consumer = None
            if monotonic() - began > LONG_LIFE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            await self._pause(pause)
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    async def _until_broken(self, consumer: PolledConsumer) -> None:
        broken = asyncio.create_task(consumer.failed.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([broken, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            broken.cancel()
            stopping.cancel()
        if consumer.failure is not None and not self._stopping.is_set():
            log.error(
                "kafka.consumer_failed",
                topic=self.topic,
                group=self.group,
                exc_info=consumer.failure,
            )

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _build(self) -> KafkaBroker:
        broker = KafkaBroker(
            self._settings.kafka_bootstrap_servers,
            consumer_only=True,
            allow_auto_create_topics=False,
            ack_policy=AckPolicy.MANUAL,
            apply_types=False,
            graceful_timeout=GRACE_SECONDS,
            logger=None,
            middlewares=[partial(_Guard, self._fail)],
        )
        subscriber = broker.subscriber(
            self.topic,
            group_id=self.group,
            batch=True,
            max_records=self._batch,
            batch_timeout_ms=SLEEP_AFTER_NOTHING_MS,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            parser=self._parsed,
            decoder=_undecoded,
        )
        subscriber(self._receive)
        return broker

    async def _open(self, broker: KafkaBroker) -> PolledConsumer:
        self.opening = True
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await broker.connect()
                # The consumer is ours in place of aiokafka's; FastStream tells it what to read.
                options = client_options(self._settings, self._client_id)
                broker.config.broker_config.builder = partial(self._consumer, options)
                await broker.start()
                if self._opened is not None:
                    await self._opened()
        finally:
            self.opening = False
        return cast("PolledConsumer", self.consumer)

    def _consumer(self, options: dict[str, Any], **given: Any) -> PolledConsumer:
        consumer = PolledConsumer(**{**given, **options, **CONSUMER_OPTIONS})
        consumer.failed = asyncio.Event()
        consumer.polled_at = monotonic()
        consumer.gather = self._gather
        self.consumer = consumer
        return consumer

    def _fail(self, error: BaseException) -> None:
        """Have the consumer replaced by one that begins at the committed offsets."""
        if self.consumer is not None and not self.consumer.failed.is_set():
            self.consumer.failure = error
            self.consumer.failed.set()

    async def _parsed(self, records: Records) -> KafkaMessage:
        """Leave key, value and headers as the bytes that they are."""
        return KafkaMessage(body=b"", raw_message=records, consumer=cast("Any", self.consumer))


class _Guard(BaseMiddleware[Any, Any]):
    """Hears of every exception while a poll's records are handled.

    FastStream swallows it and goes on with the next poll, whose commit would skip these records.
    """

    def __init__(
        self, fail: Callable[[BaseException], None], message: Any, /, *, context: ContextRepo
    ) -> None:
        super().__init__(message, context=context)
        self._fail = fail

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> bool | None:
        if exc_val is not None:
            self._fail(exc_val)
        return False


async def _undecoded(message: KafkaMessage) -> Any:
    return message.raw_message


async def _close(broker: KafkaBroker) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await broker.stop()
    except TimeoutError:
        log.warning("kafka.consumer_close_timed_out")
    except Exception:
        log.exception("kafka.consumer_close_failed")


def positions_after(records: Sequence[ConsumerRecord[bytes, bytes]]) -> dict[TopicPartition, int]:
    """Return, per partition, the offset after the last of `records`."""
    last = {(record.topic, record.partition): record.offset for record in records}
    return {TopicPartition(*place): offset + 1 for place, offset in last.items()}
