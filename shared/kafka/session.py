"""One consumer at work: a FastStream batch subscriber that is built again whenever it can't be trusted.

FastStream's own ways to acknowledge lose records or repeat them without end, so it is told to leave them
alone (`AckPolicy.MANUAL`); its parser reads headers that foreign records don't have, so it gets ours.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import structlog
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError
from faststream import AckPolicy, BaseMiddleware
from faststream.kafka import KafkaBroker, KafkaMessage

from shared.kafka.connection import client_options
from shared.kafka.polling import CONSUMER_OPTIONS, GATHER_SECONDS, ForgetRevoked, PolledConsumer
from shared.kafka.progress import Progress

if TYPE_CHECKING:
    from types import TracebackType

    from faststream import ContextRepo

    from shared.kafka.activity import Activity
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
    """Reads a topic, as a member of `group` or (without one) whole, from its first record on.

    One consumer follows the other. Each ends when the process stops, when it can't be trusted any more, or
    when the subscription halts; nothing is handled and nothing more is committed by it from then on, but for
    the call of a handler that is under way.
    """

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
        activity: Activity | None = None,
    ) -> None:
        """`receive` gets each poll's records; `opened` is called for each new consumer.

        `gather` is how long records may gather after a poll that found some, handling included. `activity`
        notes when Kafka can't be reached.
        """
        self.topic = topic
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
        self._rest_seconds: float | None = None
        self._progress: Progress | None = None
        self.opening = False
        """Whether a consumer is being opened, which ends or is tried again by itself."""
        self.consumer: PolledConsumer | None = None

    def start(self) -> None:
        """Begin; Kafka may be away."""
        self._task = asyncio.create_task(self._run(), name=f"kafka-{self.topic}")

    async def stop(self) -> None:
        """Let the call of a handler that is under way end within `GRACE_SECONDS`, then close."""
        self._stopping.set()
        self._end()
        if self._task is not None:
            if self.opening:
                self._task.cancel()
            _, late = await asyncio.wait([self._task], timeout=CLOSE_SECONDS + 1)
            if late:
                self._task.cancel()

    def rest(self, seconds: float) -> None:
        """End this consumer and open the next one after so many seconds, at the committed offsets."""
        self._rest_seconds = seconds
        self._end()

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
                await self._until_its_end(consumer)
            except (KafkaError, OSError) as error:  # TimeoutError is an OSError
                log.warning("kafka.consumer_waits", topic=self.topic, group=self.group, error=repr(error))
                if self._activity is not None:
                    self._activity.waits(f"Kafka is not reachable, {error!r}")
            except Exception:
                log.exception("kafka.consumer_broken", topic=self.topic, group=self.group)
            finally:
                # A call of the handler may still end, and what it finished be committed, while it closes.
                await _close(broker)
                self.consumer = None
            if monotonic() - began > LONG_LIFE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            rest, self._rest_seconds = self._rest_seconds, None
            await self._pause(pause if rest is None else rest)
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    async def _until_its_end(self, consumer: PolledConsumer) -> None:
        await consumer.ending.wait()
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
            middlewares=[partial(_Guard, self._end)],
        )
        self._progress = Progress() if self.group is not None else None
        subscriber = broker.subscriber(
            self.topic,
            group_id=self.group,
            batch=True,
            max_records=self._batch,
            batch_timeout_ms=SLEEP_AFTER_NOTHING_MS,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            listener=None if self._progress is None else ForgetRevoked(self._progress),
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
        consumer = cast("PolledConsumer", self.consumer)
        consumer.opened_at = monotonic()
        if self._activity is not None:
            self._activity.worked()
        return consumer

    def _consumer(self, options: dict[str, Any], **given: Any) -> PolledConsumer:
        consumer = PolledConsumer(**{**given, **options, **CONSUMER_OPTIONS})
        consumer.ending = asyncio.Event()
        consumer.polled_at = consumer.opened_at = monotonic()
        consumer.progress = self._progress
        consumer.gather = self._gather
        self.consumer = consumer
        return consumer

    def _end(self, failure: BaseException | None = None) -> None:
        """End the consumer; with a failure, have it replaced by one that begins at the committed offsets."""
        if self.consumer is not None:
            self.consumer.end(failure)

    async def _parsed(self, records: Records) -> KafkaMessage:
        """Leave key, value and headers as the bytes that they are."""
        return KafkaMessage(body=b"", raw_message=records, consumer=cast("Any", self.consumer))


class _Guard(BaseMiddleware[Any, Any]):
    """Hears of every exception while a poll's records are handled.

    FastStream swallows it and goes on with the next poll, whose commit would skip these records.
    """

    def __init__(
        self, end: Callable[[BaseException], None], message: Any, /, *, context: ContextRepo
    ) -> None:
        super().__init__(message, context=context)
        self._end = end

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> bool | None:
        if exc_val is not None:
            self._end(exc_val)
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
