"""The consumer that FastStream polls: aiokafka's, with a clock, a pace, and an end after any failure."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError

LEAVE_SECONDS = 1.5
POLL_MS = 1_000
GATHER_SECONDS = 0.01
"""How long records gather after a poll that found some, where nobody says otherwise."""

CONSUMER_OPTIONS: dict[str, Any] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "isolation_level": "read_committed",
    "session_timeout_ms": 10_000,
    "heartbeat_interval_ms": 2_000,
    "rebalance_timeout_ms": 30_000,
    # A handler that waits for a dependency keeps its partitions; the watchdog ends one that hangs.
    "max_poll_interval_ms": 24 * 60 * 60 * 1000,
    "retry_backoff_ms": 200,
}


class PolledConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """A consumer that remembers when it was polled, and whose first failing poll is its last.

    When a poll fails for one partition, what it had already taken from others is gone, though their
    positions have moved on. Only a new consumer, which begins at the committed offsets, has it all.
    """

    polled_at: float = 0.0
    failure: BaseException | None = None
    failed: asyncio.Event
    gather: float = GATHER_SECONDS
    _not_before: float = 0.0

    async def getmany(
        self,
        *partitions: TopicPartition,
        timeout_ms: int = 0,  # noqa: ARG002 - see POLL_MS
        max_records: int | None = None,
    ) -> dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]:
        """Poll for up to a second: FastStream sleeps as long as its poll after finding nothing.

        A poll that found little is not repeated within `gather` seconds, since a poll and its commit cost as
        much for one record as for a thousand. The first record after a silence is not kept waiting.
        """
        await asyncio.sleep(self._not_before - monotonic())
        self.polled_at = monotonic()
        try:
            found: dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]] = await super().getmany(
                *partitions, timeout_ms=POLL_MS, max_records=max_records
            )
        except ConsumerStoppedError:
            raise
        except Exception as error:
            self.failure = error
            self.failed.set()
            raise ConsumerStoppedError from error
        finally:
            self.polled_at = monotonic()
        full = sum(map(len, found.values())) == max_records
        self._not_before = 0.0 if full or not found else self.polled_at + self.gather
        return found

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
