"""The adapter to FastStream: everything that is overridden so that no record is lost.

FastStream declares the wiring (broker, subscribers, publishers) and runs the poll loop. Each override names
the hazard that it avoids and the test that proves it; the tests are in tests/integration/shared.

1   FastStream's default AckPolicy.ACK_FIRST commits before the handler runs: a crash loses records.
2   Its other policies commit when a handler raises, and it swallows the exception and polls on.
3   `nack` of a batch rewinds the first record's partition only (before FastStream 0.7.8).
4   AckPolicy.NACK_ON_ERROR repeats a malformed record without delay or limit.
6   `commit()` without offsets commits records that a rebalance gave to this consumer unhandled.
7   With a dead broker `stop()` does not return.
10  A consumer can stay alive without receiving records, and no client method tells.
12  Defaults skip what was written before the first join (`auto_offset_reset=latest`), and commit by timer.
14  After a kill the group waits for the session timeout before it reassigns the partitions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NoReturn

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError
from faststream import AckPolicy, BaseMiddleware
from faststream.kafka import KafkaBroker, KafkaMessage

from shared.kafka.progress import Progress
from shared.kafka.reconnects import ReconnectPauses

if TYPE_CHECKING:
    from types import TracebackType

    from faststream import ContextRepo

    from shared.kafka.records import Received
    from shared.settings import KafkaSettings

Records = tuple[ConsumerRecord[bytes, bytes], ...]

LEAVE_SECONDS: Final = 1.5
"""Time that a consumer may take to leave its group; then it is abandoned (hazard 7). Arbitrary."""

POLL_MS: Final = 1_000
IDLE_POLL_MS: Final = 3_000
GATHER_SECONDS: Final = 0.01
"""The default pause after a poll with records, so that the next poll returns more of them at once."""

FETCH_WAIT_MS: Final = 500
"""Time that Kafka may hold back a fetch without records (aiokafka's default). Kafka answers the requests
of a connection in order, so the first fetch after a rebalance may wait as long."""

IDLE_FETCH_WAIT_MS: Final = 3_000
"""The same after `IDLE_SECONDS` without records: each fetch costs a millisecond of CPU. A record ends it."""

IDLE_SECONDS: Final = 10.0

GRACE_SECONDS: Final = 3.0
"""Time that a handler's call may go on while its consumer stops; arbitrary."""

SPECIFICATION_URL: Final = "kafka:9092"
"""The address that the AsyncAPI documents show."""

CONSUMER_OPTIONS: Final[dict[str, Any]] = {
    # Hazards 1 and 12: offsets are committed by `commit_finished` alone.
    "enable_auto_commit": False,
    # Hazard 12: test_hazard_12_what_was_there_before_the_first_join_is_read and
    # test_hazard_12_a_partition_that_is_added_later_is_read_from_its_first_record.
    "auto_offset_reset": "earliest",
    "isolation_level": "read_committed",
    # Hazard 14: after a kill the group waits for this long (aiokafka's default);
    # test_hazard_14_what_a_killed_process_had_is_handled_by_the_next.
    "session_timeout_ms": 10_000,
    "heartbeat_interval_ms": 3_000,
    "rebalance_timeout_ms": 30_000,
    # A handler that waits for a dependency keeps its partitions; the watchdog ends one that hangs.
    "max_poll_interval_ms": 24 * 60 * 60 * 1000,
    "retry_backoff_ms": 200,
    "fetch_max_wait_ms": FETCH_WAIT_MS,
    # The fetcher's own period; responses, polls and rebalances wake it earlier.
    "consumer_timeout_ms": 2_000,
}

STATE_OPTIONS: Final[dict[str, Any]] = {
    # A process has a consumer per state topic, which all retry while Kafka is away, beside its answers.
    "retry_backoff_ms": 1_000,
}
"""Options of consumers without a group, beside `CONSUMER_OPTIONS`."""


def reading_broker(settings: KafkaSettings, end: Callable[[BaseException], None]) -> KafkaBroker:
    """Return a broker whose consumers commit nothing by themselves; `end` is called with any exception.

    Hazards 1 to 4: test_hazard_01_every_subscriber_is_told_to_leave_acknowledging_to_us,
    test_hazard_02_a_handler_that_raises_gets_the_same_events_again.
    """
    return KafkaBroker(
        settings.kafka_bootstrap_servers,
        consumer_only=True,
        allow_auto_create_topics=False,
        ack_policy=AckPolicy.MANUAL,
        apply_types=False,  # hazard 4: records are decoded by `Decoder`, which dead-letters malformed ones
        graceful_timeout=GRACE_SECONDS,
        logger=None,
        middlewares=[partial(EndOnException, end)],
        specification_url=SPECIFICATION_URL,
    )


async def raw_records(message: KafkaMessage) -> Any:
    """Return the records of a poll as the decoded message: `Decoder` reads them one by one.

    FastStream's own parser and decoder fail for a whole poll on the headers of foreign producers;
    test_foreign_headers_break_nothing.
    """
    return message.raw_message


class EndOnException(BaseMiddleware[Any, Any]):
    """Ends the consumer on any exception that is raised between FastStream's poll and our handler.

    Hazard 2: FastStream swallows it and polls on, and the next commit would skip these records;
    test_a_defect_between_faststream_and_handler_skips_nothing.
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


class PolledConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """The consumer that FastStream polls: it records when it was polled, and returns no record once it ends.

    It ends when its process stops, when its subscription halts, and after its first poll that fails: aiokafka
    then drops the records of other partitions, whose positions it has advanced already. Only a new consumer,
    which starts at the committed offsets, receives them again (hazard 3);
    test_a_failing_poll_does_not_skip_what_it_had_taken_from_other_partitions.
    """

    polled_at: float = 0.0
    opened_at: float = 0.0
    received_at: float = 0.0
    failure: BaseException | None = None
    ending: asyncio.Event
    progress: Progress | None = None
    """None without a group: nothing is committed."""

    gather: float = GATHER_SECONDS
    _next_poll_at: float = 0.0

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        ReconnectPauses(self._client)

    def end(self, failure: BaseException | None = None) -> None:
        """Return no further records; `failure` is why the consumer must be replaced."""
        if not self.ending.is_set():
            self.failure = failure
            self.ending.set()

    async def getmany(
        self,
        *partitions: TopicPartition,
        timeout_ms: int = 0,  # noqa: ARG002 - see POLL_MS and IDLE_POLL_MS
        max_records: int | None = None,
    ) -> dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]:
        """Poll for up to 1 s, or 3 s while idle; `polled_at` feeds the watchdog (hazard 10).

        After a poll with fewer than `max_records` the next one waits `gather` seconds, since a poll and its
        commit cost as much for one record as for a thousand. The first record after a pause is returned at
        once. Raises ConsumerStoppedError, which ends FastStream's loop, once the consumer has ended.
        """
        await asyncio.sleep(self._next_poll_at - monotonic())
        self._raise_if_ended()
        self.polled_at = monotonic()
        idle = self.polled_at - max(self.received_at, self.opened_at) > IDLE_SECONDS
        self._fetcher._fetch_max_wait_ms = IDLE_FETCH_WAIT_MS if idle else FETCH_WAIT_MS  # noqa: SLF001
        try:
            records: dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]] = await super().getmany(
                *partitions, timeout_ms=IDLE_POLL_MS if idle else POLL_MS, max_records=max_records
            )
        except ConsumerStoppedError:
            raise
        except Exception as error:
            self.end(error)
            raise ConsumerStoppedError from error
        finally:
            self.polled_at = monotonic()
        self._raise_if_ended()
        if self.progress is not None:
            for partition, polled in records.items():
                self.progress.receive(partition.partition, [record.offset for record in polled])
        full = sum(map(len, records.values())) == max_records
        self._next_poll_at = 0.0 if full or not records else self.polled_at + self.gather
        if records:
            self.received_at = self.polled_at
        return records

    def _raise_if_ended(self) -> None:
        if self.ending.is_set():
            raise ConsumerStoppedError

    async def commit(self, offsets: object = None) -> NoReturn:  # noqa: ARG002 - as aiokafka has it
        """Raise TypeError: only `commit_finished` commits (hazard 6)."""
        message = "commit_finished() is the only way to commit"
        raise TypeError(message)

    def finish(self, records: Iterable[Received]) -> None:
        """Mark records as handled or dead-lettered."""
        if self.progress is not None:
            self.progress.finish(records)

    def uncommitted(self) -> dict[TopicPartition, int]:
        """Return the offsets that `commit_finished` would commit, of the partitions that are assigned now."""
        if self.progress is None:
            return {}
        positions = self.progress.uncommitted()
        if not positions:
            return {}
        return {tp: positions[tp.partition] for tp in self.assignment() if tp.partition in positions}

    async def commit_finished(self) -> dict[TopicPartition, int]:
        """Commit the offset of each partition's first unfinished record; return the offsets that are new.

        The offsets are explicit because of hazard 6;
        test_hazard_06_a_rebalance_in_the_middle_of_a_batch_loses_nothing.
        """
        positions = self.uncommitted()
        if positions and self.progress is not None:
            await super().commit(positions)
            self.progress.committed({tp.partition: offset for tp, offset in positions.items()})
        return positions

    async def stop(self) -> None:
        """Leave the group and close, in little more than `LEAVE_SECONDS`.

        Hazard 7: test_hazard_07_and_11_a_stopped_broker_holds_up_nobody_and_all_go_on_after_it. It runs in
        tasks, because aiokafka lets the cancellation of its own tasks escape from `close`.
        """
        leaving = asyncio.create_task(super().stop())
        await asyncio.wait([leaving], timeout=LEAVE_SECONDS)
        if not leaving.done() or leaving.cancelled() or leaving.exception() is not None:
            leaving.cancel()
            await self._abandon()

    async def _abandon(self) -> None:
        """End the tasks for which `stop` waits while the broker is dead; there is no public method."""
        rejoining = getattr(self._coordinator, "_coordination_task", None)
        if rejoining is not None:
            rejoining.cancel()
            await asyncio.wait([rejoining], timeout=0.2)
            await self._coordinator._stop_heartbeat_task()  # noqa: SLF001
            await self._coordinator._stop_commit_offsets_refresh_task()  # noqa: SLF001
        for part in (self._fetcher, self._client):
            if part is not None:
                await asyncio.wait([asyncio.create_task(part.close())], timeout=0.5)


class ForgetRevoked(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Removes revoked partitions from a consumer's progress (hazard 6)."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Forget the partitions: their next owner starts at the committed offsets."""
        self._progress.forget(tp.partition for tp in revoked)

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Do nothing: tracking starts with the next poll."""
