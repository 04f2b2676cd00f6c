"""The scheduling delay of a busy machine, which every time limit has to allow for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

_SLEEP = 0.005


@dataclass
class Lateness:
    """The longest delay of a sleeping task in this event loop, in seconds."""

    worst: float = 0.0


@asynccontextmanager
async def lateness() -> AsyncIterator[Lateness]:
    """Measure lateness in the event loop of the test while the block runs."""
    measured = Lateness()

    async def watch() -> None:
        while True:
            began = monotonic()
            await asyncio.sleep(_SLEEP)
            measured.worst = max(measured.worst, monotonic() - began - _SLEEP)

    watching = asyncio.create_task(watch())
    try:
        yield measured
    finally:
        watching.cancel()
