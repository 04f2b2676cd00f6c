"""A producer that reconnects, and whose client is replaced after a fatal error.

aiokafka's idempotent producer never expires a batch (hazard 7), and after some errors it never sends again
(hazard 9). So every wait is bounded, and a failed client is replaced; test_kafka_publishing.py and
test_kafka_outages.py have the tests.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka.errors import (
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerClosed,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from shared.errors import Permanent, Transient
from shared.kafka.connection import client_options
from shared.kafka.producer_client import ProducerClient
from shared.kafka.records import check_sizes

if TYPE_CHECKING:
    from shared.kafka.records import Record
    from shared.settings import KafkaSettings

MAX_REQUEST_BYTES = 1_100_000
"""The largest dead letter: `MAX_RECORD_BYTES` and its further headers."""

MAX_BATCH_BYTES = 256 * 1024
"""Bytes of one partition's records in a request; arbitrary, aiokafka's default of 16 KiB holds few events."""

CONNECT_SECONDS = 15.0
"""Longer than a request may take: aiokafka does not close a first connection whose start is cancelled."""

CLOSE_SECONDS = 3.0
STALL_SECONDS = 15.0
"""A client without any confirmation for this long is replaced; longer than `REQUEST_TIMEOUT_MS`."""
QUIET_SECONDS = 5.0
"""Interval between checks of a client that is not in use."""
RETRY_SECONDS = 0.1
MAX_PAUSE_SECONDS = 2.0
"""Pauses between attempts to connect double up to this one; arbitrary."""

log = structlog.get_logger()


class Producer:
    """Writes records in their order per partition, confirmed by all in-sync replicas (hazard 12)."""

    def __init__(self, settings: KafkaSettings, client_id: str) -> None:
        """Connect with `start` or the first delivery, not before."""
        self._settings = settings
        self._client_id = client_id
        self._current: ProducerClient | None = None
        self._connected = asyncio.Event()
        self._broken = asyncio.Event()
        self._alert = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._last_progress = 0.0
        self._failing = False
        self._trouble = "not reachable"

    @property
    def up(self) -> bool:
        """Return whether the last request to Kafka succeeded."""
        return self._current is not None and not self._failing

    def failure(self) -> str | None:
        """Return why the client is not replaced any more (a defect, or invalid settings); else None."""
        ended = self._keeper is not None and self._keeper.done() and not self._keeper.cancelled()
        return f"the producer does not reconnect any more: {self._keeper}" if ended else None

    def start(self) -> None:
        """Start connecting, and stay connected until `stop`."""
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep_up(), name=f"{self._client_id}-keeper")

    async def stop(self) -> None:
        """Send the accepted records, then close, in little more than `CLOSE_SECONDS`."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        self._retire()
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_SECONDS + 2)

    async def deliver(self, topic: str, records: Sequence[Record], within: float) -> None:
        """Return when every record is acknowledged.

        Raises Transient if Kafka is not reachable or does not confirm within `within` seconds: the records
        may be stored, or be stored later (hazard 8). Raises Permanent if a record is too large for Kafka.
        """
        if not records:
            return
        check_sizes(topic, records)
        self.start()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        left = list(records)
        if not self._waiting:
            self._last_progress = loop.time()
        self._waiting += 1
        try:
            while left:
                producer = self._current or await self._connected_by(deadline)
                left = await self._attempt(producer, topic, left, deadline)
        finally:
            self._waiting -= 1
        self._failing = False
        self._last_progress = loop.time()

    async def _connected_by(self, deadline: float) -> ProducerClient:
        while self._current is None:
            try:
                async with asyncio.timeout_at(deadline):
                    await self._connected.wait()
            except TimeoutError:
                raise Transient(f"Kafka does not take records: {self._trouble}") from None
        return self._current

    async def _attempt(
        self, producer: ProducerClient, topic: str, records: list[Record], deadline: float
    ) -> list[Record]:
        """Send the records; return those to send again through another client, none after a success."""
        sent: list[asyncio.Future[Any]] = []
        try:
            await producer.deliver(topic, records, sent, deadline)
        except TimeoutError:
            self._failing = True
            self._alert.set()
            message = f"Kafka did not confirm {len(records)} records for {topic} in time"
            raise Transient(message) from None
        except (UnknownTopicOrPartitionError, InvalidTopicError) as error:
            message = f"topic {topic} does not exist: run python -m shared.kafka topics"
            raise Transient(message) from error
        except TopicAuthorizationFailedError as error:
            message = f"{self._client_id} may not write to {topic}; check Kafka's ACLs"
            raise Transient(message) from error
        except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
            # The sequence numbers of the refused batch are used up, so this client can't send any more.
            self._replace(producer, error)
            message = f"a record for {topic} is larger than the topic's max.message.bytes"
            raise Permanent(message) from error
        except (KafkaError, OSError) as error:
            self._replace(producer, error)
            await asyncio.sleep(RETRY_SECONDS)
            return _unconfirmed(records, sent)
        return []

    def _replace(self, producer: ProducerClient, error: BaseException) -> None:
        self._trouble = repr(error)
        if producer is self._current:
            log.warning("kafka.producer_replaced", client=self._client_id, error=repr(error))
            self._retire()
            self._broken.set()
            self._alert.set()

    def _retire(self) -> None:
        """Stop using the current client, and close it in the background."""
        self._connected.clear()
        if self._current is not None:
            task = asyncio.create_task(close(self._current))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            self._current = None

    async def _keep_up(self) -> None:
        pause = 0.1
        while True:
            self._broken.clear()
            producer = ProducerClient(
                **client_options(self._settings, self._client_id),
                acks="all",
                enable_idempotence=True,
                linger_ms=0,  # see SendGroups
                max_batch_size=MAX_BATCH_BYTES,
                max_request_size=MAX_REQUEST_BYTES,
            )
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await producer.start()
            except (KafkaError, OSError) as error:  # TimeoutError is an OSError
                self._trouble = f"not reachable, {error!r}"
                log.warning("kafka.producer_waits", client=self._client_id, error=repr(error))
                await close(producer)
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_PAUSE_SECONDS)
                continue
            except BaseException:
                await close(producer)
                raise
            pause = 0.1
            self._current = producer
            self._failing = False
            self._last_progress = asyncio.get_running_loop().time()
            self._connected.set()
            await self._watch(producer)

    async def _watch(self, producer: ProducerClient) -> None:
        """Return when the client must be replaced."""
        while not self._broken.is_set():
            self._alert.clear()
            quiet = not self._waiting and not self._failing
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(QUIET_SECONDS, STALL_SECONDS / 3) if quiet else 1.0):
                    await self._alert.wait()
            if self._failing and await _answers(producer):
                self._failing = False
            silent = asyncio.get_running_loop().time() - self._last_progress
            if self._waiting and silent > STALL_SECONDS:
                self._replace(producer, TimeoutError(f"no confirmation for {silent:.0f} s"))


def _unconfirmed(records: list[Record], sent: list[asyncio.Future[Any]]) -> list[Record]:
    confirmed = {
        index
        for index, future in enumerate(sent)
        if future.done() and not future.cancelled() and future.exception() is None
    }
    return [record for index, record in enumerate(records) if index not in confirmed]


async def _answers(producer: ProducerClient) -> bool:
    try:
        async with asyncio.timeout(1.0):
            await producer.client.fetch_all_metadata()
    except (KafkaError, OSError):
        return False
    return True


async def close(producer: ProducerClient) -> None:
    """Close in little more than `CLOSE_SECONDS`; what a dead broker holds up is abandoned."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await producer.stop()
    except (KafkaError, OSError):
        await _abandon(producer)


async def _abandon(producer: ProducerClient) -> None:
    """End the tasks for which `ProducerClient.stop` waits while the broker is dead."""
    producer._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001
    with contextlib.suppress(KafkaError, OSError):
        async with asyncio.timeout(1.0):
            await producer.client.close()
    sender = producer._sender.sender_task  # noqa: SLF001
    for _ in range(10):  # when cancelled, it first waits for requests that can't end
        if sender is None or sender.done():
            break
        sender.cancel()
        await asyncio.wait([sender], timeout=0.1)
