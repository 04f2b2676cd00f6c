"""The consumer that FastStream polls: aiokafka's, with a clock, a pace, and an end that is one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError

from shared.kafka.progress import Progress

if TYPE_CHECKING:
    from shared.kafka.records import Received

LEAVE_SECONDS = 1.5
POLL_MS = 1_000
IDLE_POLL_MS = 3_000
GATHER_SECONDS = 0.01
FETCH_WAIT_MS = 500
"""How long Kafka may keep a fetch that finds nothing. Kafka answers a connection's requests one after the
other, so that is also how long the first fetch after a rebalance may have to wait."""

IDLE_FETCH_WAIT_MS = 3_000
"""The same once nothing has come for `IDLE_SECONDS`: each costs a millisecond. A record ends it at once."""

IDLE_SECONDS = 10.0
"""How long records gather after a poll that found some, where nobody says otherwise."""

CONSUMER_OPTIONS: dict[str, Any] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "isolation_level": "read_committed",
    "session_timeout_ms": 10_000,
    "heartbeat_interval_ms": 3_000,
    "rebalance_timeout_ms": 30_000,
    # A handler that waits for a dependency keeps its partitions; the watchdog ends one that hangs.
    "max_poll_interval_ms": 24 * 60 * 60 * 1000,
    "retry_backoff_ms": 200,
    "fetch_max_wait_ms": FETCH_WAIT_MS,
    # How often the fetcher looks what there is to fetch by itself; an answer, a poll and a rebalance wake it.
    "consumer_timeout_ms": 2_000,
}


class PolledConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """A consumer that remembers when it was polled, and returns no record once it is to end.

    It ends when its process stops, when its subscription halts, and after its first failing poll: when a
    poll fails for one partition, what it had already taken from others is gone, though their positions have
    moved on. Only a new consumer, which begins at the committed offsets, has it all.
    """

    polled_at: float = 0.0
    opened_at: float = 0.0
    received_at: float = 0.0
    failure: BaseException | None = None
    ending: asyncio.Event
    progress: Progress | None = None
    """None without a group: nothing is committed."""

    gather: float = GATHER_SECONDS
    _not_before: float = 0.0

    def end(self, failure: BaseException | None = None) -> None:
        """Return no further records; `failure` says why the consumer is to be replaced."""
        if not self.ending.is_set():
            self.failure = failure
            self.ending.set()

    async def getmany(
        self,
        *partitions: TopicPartition,
        timeout_ms: int = 0,  # noqa: ARG002 - see POLL_MS and IDLE_POLL_MS
        max_records: int | None = None,
    ) -> dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]:
        """Poll for up to a second, or three while idle: FastStream sleeps as long as its poll after nothing.

        A poll that found little is not repeated within `gather` seconds, since a poll and its commit cost as
        much for one record as for a thousand. The first record after a silence is not kept waiting.
        Raises ConsumerStoppedError, which ends FastStream's loop, once the consumer is to end.
        """
        await asyncio.sleep(self._not_before - monotonic())
        self._refuse_at_the_end()
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
        self._refuse_at_the_end()
        if self.progress is not None:
            for partition, some in records.items():
                self.progress.receive(partition.partition, [record.offset for record in some])
        full = sum(map(len, records.values())) == max_records
        self._not_before = 0.0 if full or not records else self.polled_at + self.gather
        if records:
            self.received_at = self.polled_at
        return records

    def _refuse_at_the_end(self) -> None:
        if self.ending.is_set():
            raise ConsumerStoppedError

    async def commit(self, offsets: object = None) -> NoReturn:  # noqa: ARG002 - as aiokafka has it
        """Refuse: offsets come from `progress` alone, see `commit_finished`."""
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
        """Commit, per partition, the offset of the first record that is not finished; return what is new."""
        positions = self.uncommitted()
        if positions and self.progress is not None:
            await super().commit(positions)
            self.progress.committed({tp.partition: offset for tp, offset in positions.items()})
        return positions

    async def stop(self) -> None:
        """Leave the group and close, within `LEAVE_SECONDS` and a little.

        In tasks, because aiokafka lets the cancellation of its own tasks escape from its `close`.
        """
        leaving = asyncio.create_task(super().stop())
        await asyncio.wait([leaving], timeout=LEAVE_SECONDS)
        if not leaving.done() or leaving.cancelled() or leaving.exception() is not None:
            leaving.cancel()
            await self._abandon()

    async def _abandon(self) -> None:
        """End what `stop` waits for as long as the broker is dead; there is no public way."""
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
    """Takes revoked partitions out of a consumer's progress."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Leave the partitions to their next owner, who begins at the committed offsets."""
        self._progress.forget(tp.partition for tp in revoked)

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Begin with what the next poll returns."""
