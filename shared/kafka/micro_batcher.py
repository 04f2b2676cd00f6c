"""Records batched before they are sent to Kafka: a request costs as much CPU as fifty records.

With `linger_ms` aiokafka delays the first record after a pause as much as any other. Here only records that
come right after a batch wait, so that a single click is sent at once and a burst shares its requests.
"""

from __future__ import annotations

import asyncio
from typing import Final

GATHER_SECONDS: Final = 0.005
"""The least time between two batches, and so the longest delay that batching causes; arbitrary."""


class MicroBatcher:
    """Releases waiting callers in batches: the first after a pause at once, others with the next batch."""

    def __init__(self, seconds: float = GATHER_SECONDS) -> None:
        """Release batches at least `seconds` apart."""
        self._seconds = seconds
        self._next_at = 0.0
        self._batch: asyncio.Event | None = None

    async def wait(self) -> None:
        """Return when the caller's batch is released; callers are released in the order they came."""
        loop = asyncio.get_running_loop()
        if self._batch is None:
            if loop.time() >= self._next_at:
                self._next_at = loop.time() + self._seconds
                return
            self._batch = asyncio.Event()
            loop.call_at(self._next_at, self._release, self._batch)
        await self._batch.wait()

    def _release(self, batch: asyncio.Event) -> None:
        self._batch = None
        self._next_at = asyncio.get_running_loop().time() + self._seconds
        batch.set()
