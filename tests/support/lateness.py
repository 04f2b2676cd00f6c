"""How late a busy machine is: what every bound in time has to allow for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

_SLEEP = 0.005


@dataclass
class Lateness:
    """The longest that this loop came late to a task that had slept, in seconds."""

    worst: float = 0.0


@asynccontextmanager
async def lateness() -> AsyncIterator[Lateness]:
    """Measure it while the block runs, in the loop of the test."""
    found = Lateness()

    async def watch() -> None:
        while True:
            began = monotonic()
            await asyncio.sleep(_SLEEP)
            found.worst = max(found.worst, monotonic() - began - _SLEEP)

    watching = asyncio.create_task(watch())
    try:
        yield found
    finally:
        watching.cancel()
