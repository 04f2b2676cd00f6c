"""Something that is done again and again, as a part of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from shared.errors import Transient
from shared.postgres import UNAVAILABLE

MAX_PAUSE_SECONDS = 30.0

log = structlog.get_logger()


class Rounds:
    """Calls `work` every so many seconds, less often while a dependency is away."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]], *, seconds: float) -> None:
        self.name = name
        self._work = work
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with a round at once: it may mend what an earlier process was cut off in."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; a round that is cut off is made good by the next one."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def alive(self) -> str | None:
        """Dead when the loop has ended by itself, which it never should."""
        ended = self._task is not None and self._task.done() and not self._task.cancelled()
        return f"{self.name} has ended" if ended else None

    def ready(self) -> str | None:
        """Nobody waits for it."""
        return None

    async def _run(self) -> None:
        pause = self._seconds
        while True:
            try:
                await self._work()
                pause = self._seconds
            except (Transient, *UNAVAILABLE) as away:
                pause = min(MAX_PAUSE_SECONDS, pause * 2)
                log.warning("loader.round_failed", part=self.name, error=str(away), pause=pause)
            except Exception:
                pause = min(MAX_PAUSE_SECONDS, pause * 2)
                log.exception("loader.round_failed", part=self.name, pause=pause)
            await asyncio.sleep(pause)
