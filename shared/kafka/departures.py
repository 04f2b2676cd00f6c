"""When records leave for Kafka: a request costs as much as fifty records, so they travel together.

A producer's `linger` keeps the first record after a silence waiting as long as any other. Here only those
wait that come right after a departure, so that a single click costs no time and a rush no CPU.
"""

from __future__ import annotations

import asyncio

GATHER_SECONDS = 0.005


class Departures:
    """Lets callers through: at once after a silence, else all together at the next departure."""

    def __init__(self, seconds: float = GATHER_SECONDS) -> None:
        """Departures are at least so many seconds apart."""
        self._seconds = seconds
        self._next = 0.0
        self._gathering: asyncio.Event | None = None

    async def wait(self) -> None:
        """Return when it is time; whoever came first goes first."""
        loop = asyncio.get_running_loop()
        if self._gathering is None:
            if loop.time() >= self._next:
                self._next = loop.time() + self._seconds
                return
            self._gathering = asyncio.Event()
            loop.call_at(self._next, self._depart, self._gathering)
        await self._gathering.wait()

    def _depart(self, gathered: asyncio.Event) -> None:
        self._gathering = None
        self._next = asyncio.get_running_loop().time() + self._seconds
        gathered.set()
